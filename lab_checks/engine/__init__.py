"""How an exercise is started, observed and recorded: session, setup, baseline, context, verdict, registry, progress, audit."""
