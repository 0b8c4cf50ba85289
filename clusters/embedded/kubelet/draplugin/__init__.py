"""The APIs between the kubelet and a DRA driver's plugin, as definitions and generated code: registration, claims, health of devices."""
