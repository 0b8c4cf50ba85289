"""The handler of kopf's own minimal example."""

import kopf


@kopf.on.create("kopfexamples")
def create_fn(spec, name, meta, status, **kwargs):  # type: ignore[no-untyped-def]
    print(f"And here we are! Created {name} with spec: {spec}")
    return {"message": "hello"}
