"""The folder that stands first on PYTHONPATH in every Pod: `sitecustomize` makes an interpreter see the Pod's network and files.

`_ai_lab` is written for any Python from 3.8 on and imports nothing but small parts of the standard library, and those late: every
interpreter in a Pod pays for it at its start.
"""
