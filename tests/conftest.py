"""What all tests share."""

from hypothesis import HealthCheck, settings

# No test fails because the machine is slow: an example may take long, and be long in the making.
settings.register_profile("hither", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hither")
