"""CustomResourceDefinitions and the objects of the kinds that they define (k8s.io/apiextensions-apiserver).

A definition flows in (`kind.served`), resources with their `CustomKind` come out, which the registry asks wherever its own kinds have
code. `controller.py` gives each definition its names and its end. Loaded with the first definition.
"""
