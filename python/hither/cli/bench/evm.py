def measure_anvil_transfers(options):
    raise NotImplementedError
