"""An operator that starts suspended Jobs all-or-nothing, as far as the GPUs of their queue go."""
