//! Transactions of other chains that the network is asked to confirm: one request form a chain.
//!
//! The order of fields and variants is the wire order: what nodes sign is a hash of it. The contract itself never
//! looks inside; it bounds how much is asked for and keeps the request as the key of its queue.

use near_sdk::near;

use crate::domains::DomainId;
use crate::encodings::{Hash256, Hex};
use crate::errors::Refusal;
use crate::requests::SignatureResponse;

/// What one request may extract: each value costs the nodes a look-up and the caller a longer answer.
pub const EXTRACTORS_MAX: usize = 16;
const PAYLOAD_VERSION: u8 = 1;

/// Chains by the names that registration and whitelist use.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForeignChain {
    Solana,
    Bitcoin,
    Ethereum,
    Base,
    Bnb,
    Arbitrum,
    Abstract,
    Starknet,
    Polygon,
    HyperEvm,
    Ton,
    Aptos,
    Sui,
    Avalanche,
    Adi,
}

/// Declares a plain value of requests.
macro_rules! request_types {
    ($($(#[$attribute:meta])* $kind:ident $name:ident $body:tt)+) => {
        $(
            #[near(serializers = [borsh, json])]
            #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
            $(#[$attribute])*
            pub $kind $name $body
        )+
    };
}

request_types! {
    enum EvmFinality { Latest, Safe, Finalized }
    enum EvmExtractor { BlockHash, Log { log_index: u64 } }
    struct EvmRequest { pub tx_id: Hash256, pub extractors: Vec<EvmExtractor>, pub finality: EvmFinality }
    enum SolanaFinality { Processed, Confirmed, Finalized }
    enum SolanaExtractor { SolanaProgramIdIndex { ix_index: u32 }, SolanaDataHash { ix_index: u32 } }
    struct SolanaRequest {
        pub tx_id: Hex<64>,
        pub finality: SolanaFinality,
        pub extractors: Vec<SolanaExtractor>,
    }
    // One byte wide, though there is only one: borsh refuses lists of nothing.
    #[repr(u8)]
    enum BitcoinExtractor { BlockHash }
    struct BitcoinRequest { pub tx_id: Hash256, pub confirmations: u64, pub extractors: Vec<BitcoinExtractor> }
    enum StarknetFinality { AcceptedOnL2, AcceptedOnL1 }
    enum StarknetExtractor { BlockHash, Log { log_index: u64 } }
    struct StarknetRequest {
        pub tx_id: Hash256,
        pub finality: StarknetFinality,
        pub extractors: Vec<StarknetExtractor>,
    }
    enum TonFinality { MasterchainIncluded }
    struct TonAddress { pub workchain: i32, pub hash: Hash256 }
    struct TonRequest {
        pub tx_id: Hash256,
        pub account: TonAddress,
        pub finality: TonFinality,
        pub extractors: Vec<TonExtractor>,
    }
    enum AptosFinality { Committed }
    struct AptosRequest {
        pub tx_id: Hash256,
        pub finality: AptosFinality,
        pub extractors: Vec<AptosExtractor>,
    }
    enum SuiFinality { Checkpointed }
    struct SuiRequest { pub tx_id: Hash256, pub finality: SuiFinality, pub extractors: Vec<SuiExtractor> }
    enum ForeignRpcRequest {
        Abstract(EvmRequest),
        Ethereum(EvmRequest),
        Solana(SolanaRequest),
        Bitcoin(BitcoinRequest),
        Starknet(StarknetRequest),
        Bnb(EvmRequest),
        Base(EvmRequest),
        Arbitrum(EvmRequest),
        Polygon(EvmRequest),
        HyperEvm(EvmRequest),
        Ton(TonRequest),
        Aptos(AptosRequest),
        Sui(SuiRequest),
        Avalanche(EvmRequest),
        Adi(EvmRequest),
    }
}

/// The extractors of three chains begin at tag 1: tag 0 is a block hash, which those chains do not give.
macro_rules! extractors_from_tag_one {
    ($($name:ident { $variant:ident $field:ident })+) => {
        $(
            #[near(serializers = [borsh, json])]
            #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
            #[borsh(use_discriminant = true)]
            #[repr(u8)]
            pub enum $name { $variant { $field: u64 } = 1 }
        )+
    };
}

extractors_from_tag_one! {
    TonExtractor { Log message_index }
    AptosExtractor { Event event_index }
    SuiExtractor { Event event_index }
}

/// What `verify_foreign_transaction` takes, the contract stores, and the nodes answer.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignRequest {
    pub request: ForeignRpcRequest,
    pub domain_id: DomainId,
    pub payload_version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_payload_hash: Option<Hash256>,
}

/// The hash of request and values, signed under the domain's root key.
#[near(serializers = [json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignResponse {
    pub payload_hash: Hash256,
    pub signature: SignatureResponse,
}

impl ForeignRpcRequest {
    /// The chain that is asked about, and how many values.
    pub fn describe(&self) -> (ForeignChain, usize) {
        match self {
            Self::Abstract(request) => (ForeignChain::Abstract, request.extractors.len()),
            Self::Ethereum(request) => (ForeignChain::Ethereum, request.extractors.len()),
            Self::Solana(request) => (ForeignChain::Solana, request.extractors.len()),
            Self::Bitcoin(request) => (ForeignChain::Bitcoin, request.extractors.len()),
            Self::Starknet(request) => (ForeignChain::Starknet, request.extractors.len()),
            Self::Bnb(request) => (ForeignChain::Bnb, request.extractors.len()),
            Self::Base(request) => (ForeignChain::Base, request.extractors.len()),
            Self::Arbitrum(request) => (ForeignChain::Arbitrum, request.extractors.len()),
            Self::Polygon(request) => (ForeignChain::Polygon, request.extractors.len()),
            Self::HyperEvm(request) => (ForeignChain::HyperEvm, request.extractors.len()),
            Self::Ton(request) => (ForeignChain::Ton, request.extractors.len()),
            Self::Aptos(request) => (ForeignChain::Aptos, request.extractors.len()),
            Self::Sui(request) => (ForeignChain::Sui, request.extractors.len()),
            Self::Avalanche(request) => (ForeignChain::Avalanche, request.extractors.len()),
            Self::Adi(request) => (ForeignChain::Adi, request.extractors.len()),
        }
    }
}

impl ForeignRequest {
    /// Whether the network can be asked this; gives the chain.
    pub fn validate(&self) -> Result<ForeignChain, Refusal> {
        if self.payload_version != PAYLOAD_VERSION {
            return Err(Refusal::PayloadVersionUnknown { version: self.payload_version });
        }
        let (chain, found) = self.request.describe();
        if found > EXTRACTORS_MAX {
            return Err(Refusal::TooManyExtractors { found, limit: EXTRACTORS_MAX });
        }
        Ok(chain)
    }
}
