"""The tables that the native module hands over."""

import pytest
from hither_native import InvalidInput, protocol_features

from hither.params import (
    NEWEST_PROTOCOL_VERSION,
    OLDEST_PROTOCOL_VERSION,
    ProtocolFeature,
    get_protocol_config_view,
    get_runtime_config,
)

VERSIONS = range(OLDEST_PROTOCOL_VERSION, NEWEST_PROTOCOL_VERSION + 1)


def test_published_figures_of_88() -> None:
    """Figures from NEAR's published documents, not from the crate that we read."""
    config = get_runtime_config(88)
    fees = config.fees.actions
    assert fees.new_action_receipt.send_sir.gas == 108_059_500_000
    assert fees.transfer.execution.gas == 115_123_062_500
    assert (fees.deploy_contract_base.execution.gas, fees.deploy_contract_base.execution.compute) == (
        184_765_750_000,
        20_000_000_000_000,
    )
    assert fees.function_call_byte.send_not_sir.gas == 47_683_715
    assert config.wasm.host_costs["touching_trie_node"].gas == 2_280_000_000
    assert config.wasm.host_costs["touching_trie_node"].compute == 4_000_000_000
    assert config.wasm.regular_op_cost == 822_756
    assert config.fees.storage.amount_per_byte == 10**19
    assert config.fees.storage.global_contract_amount_per_byte == 10**20
    assert config.account_creation_charge == 7 * 10**21
    assert config.fees.signature_verification[2].gas == 100_000_000_000
    assert config.wasm.limits.per_receipt_storage_proof_size_limit == 4_000_000
    assert config.bandwidth_scheduler.max_shard_bandwidth == 4_500_000
    assert config.congestion_control.reject_tx_congestion_threshold == 0.8


def test_figures_differ_between_versions_where_near_changed_them() -> None:
    """84 has the old price of an account and pays contracts a reward; 87 pays none."""
    assert get_runtime_config(84).fees.actions.create_account.execution.gas == 3_850_000_000_000
    assert get_runtime_config(85).fees.actions.create_account.execution.gas == 7_200_000_000_000
    assert [get_runtime_config(version).fees.burnt_gas_reward[0] for version in VERSIONS] == [3, 3, 3, 0, 0]
    assert [get_runtime_config(version).wasm.sha3_host_fns for version in VERSIONS] == [False] * 3 + [
        True
    ] * 2


@pytest.mark.parametrize("version", [0, 83, 89, 157])
def test_unsupported_version_is_refused(version: int) -> None:
    """Older and newer tables exist in the crate, but nothing else here follows them."""
    with pytest.raises(InvalidInput, match="from 84 to 88"):
        get_runtime_config(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_view_and_table_agree(version: int) -> None:
    """NEAR's own view of the same figures has the same gas."""
    view, config = get_protocol_config_view(version), get_runtime_config(version)
    host_gas = {name: cost.gas for name, cost in config.wasm.host_costs.items()}
    shown = view["wasm_config"]["ext_costs"]
    assert shown["storage_write_base"] == host_gas["storage_write_base"]
    creation = view["transaction_costs"]["action_creation_config"]
    assert creation["delegate_cost"]["execution"] == config.fees.actions.delegate.execution.gas
    assert view["wasm_config"]["limit_config"]["max_gas_burnt"] == config.wasm.limits.max_gas_burnt


def test_features_have_near_names_and_versions() -> None:
    """Our enum against the crate's, both ways."""
    assert {feature.near_name: feature.version for feature in ProtocolFeature} == dict(protocol_features())


def test_feature_is_enabled_from_its_version_on() -> None:
    """One below is off, its own is on."""
    assert not ProtocolFeature.GAS_KEYS.is_enabled(84)
    assert ProtocolFeature.GAS_KEYS.is_enabled(85)
    assert not ProtocolFeature.UNIVERSAL_ACCOUNTS.is_enabled(87)
