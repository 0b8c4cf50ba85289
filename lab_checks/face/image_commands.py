"""`ai-lab images`: the lab's images for real nodes: build, list, and carry them as one archive into a classroom without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import clusters
from clusters import images
from lab_checks.face.terminal import USAGE, die

app = typer.Typer(no_args_is_help=True, help="The lab's images for real nodes.", rich_markup_mode=None)

Archive = Annotated[Path, typer.Argument(help="a .tar file")]


def _engine() -> images.ImageEngine:
    return images.engine()


@app.command("list")
def list_images() -> None:
    """Show the images, and which of them the engine has."""
    engine = _engine()
    for reference in images.needed():
        typer.echo(f"{'✔' if engine.has_image(reference) else '✘'} {reference}")


@app.command()
def build() -> None:
    """Build and fetch what is missing or has changed.

    BASE_IMAGE, PIP_INDEX_URL and their like are handed on.
    """
    engine = _engine()
    for image in images.catalogue():
        typer.echo(f"Building {image.reference}")
        images.build(engine, image, lambda line: typer.echo(f"  {line}", err=True))
    for other in images.others():
        if engine.has_image(other.reference):
            continue
        typer.echo(f"Fetching {other.reference}, about {other.download // 1024**2} MB")
        if note := images.fetch(engine, other, lambda line: typer.echo(f"  {line}", err=True)):
            typer.echo(note)


@app.command()
def save(
    archive: Archive,
    node_image: Annotated[
        bool, typer.Option(help="the nodes' own image too, where the engine has it: what a classroom without a network needs")
    ] = True,
) -> None:
    """Write all images into one archive."""
    written = images.save(_engine(), archive, node_image)
    typer.echo(f"{archive}: {', '.join(written)} ({archive.stat().st_size / 1024**2:.0f} MB)")


@app.command()
def load(archive: Archive) -> None:
    """Read images from an archive, for the engine and a cluster.

    They are brought into the lab cluster's nodes where one is up.
    """
    if not archive.exists():
        raise die(f"{archive} is not there", USAGE, "ai-lab images save FILE writes one where the images are")
    _engine().load(str(archive))
    running = clusters.in_use()
    if running is not None and running.status().state in ("ready", "starting"):
        running.load_images()
    typer.echo("loaded")
