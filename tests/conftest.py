"""What all tests share."""

from hypothesis import HealthCheck, settings

# No test fails because the machine is slow: neither an example that takes long nor examples that are long in the making.
settings.register_profile("hither", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hither")
