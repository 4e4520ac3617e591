//! Quotes of trusted hardware: what goes to the verifier account, what comes back, and what is still to be checked.
//!
//! The verifier says whether the quote is genuine. That it belongs to this node (its keys are in the report), that
//! the log of events gives the measured register, and that image, launcher and system are trusted, is checked here.

use near_sdk::near;
use sha2::{Digest as _, Sha256, Sha384};
use sha3::{Digest as _, Sha3_384};

use crate::attestations::{NodeId, Rules, VerifiedAttestation, VerifiedDstack};
use crate::config::ATTESTATION_LIFE_SECONDS;
use crate::encodings::{decode_hex, decode_hex_bytes, Hash384, Hex, HexBytes};
use crate::errors::Refusal;
use crate::measurements::{now_seconds, Measurement};

/// The type of events that applications measure.
const EVENT_TYPE: u32 = 0x0800_0001;
/// The register that they are measured into.
const EVENT_REGISTER: u32 = 3;
const REPORT_VERSION: [u8; 2] = [0, 1];

/// Declares plain records in their wire order.
macro_rules! records {
    ($serializers:tt $($(#[$attribute:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {
        $(
            #[near(serializers = $serializers)]
            #[derive(Debug, Clone, PartialEq, Eq)]
            $(#[$attribute])*
            pub struct $name { $(pub $field: $type),+ }
        )+
    };
}

records! { [borsh, json]
    /// What the verifier needs beside the quote.
    Collateral {
        pck_crl_issuer_chain: String,
        root_ca_crl: HexBytes,
        pck_crl: HexBytes,
        tcb_info_issuer_chain: String,
        tcb_info: String,
        tcb_info_signature: HexBytes,
        qe_identity_issuer_chain: String,
        qe_identity: String,
        qe_identity_signature: HexBytes,
        pck_certificate_chain: Option<String>,
    }
    /// An event that was measured.
    Event { imr: u32, event_type: u32, digest: String, event: String, event_payload: String }
    /// What the node says was measured, and by which events.
    TcbInfo {
        mrtd: String,
        rtmr0: String,
        rtmr1: String,
        rtmr2: String,
        rtmr3: String,
        compose_hash: String,
        device_id: String,
        app_compose: String,
        event_log: Vec<Event>,
    }
    /// A whole submission.
    DstackAttestation { quote: HexBytes, collateral: Collateral, tcb_info: TcbInfo }
}

records! { [borsh]
    /// Measurements of a trusted domain.
    DomainReport {
        tee_tcb_svn: [u8; 16],
        mr_seam: [u8; 48],
        mr_signer_seam: [u8; 48],
        seam_attributes: [u8; 8],
        td_attributes: [u8; 8],
        xfam: [u8; 8],
        mr_td: [u8; 48],
        mr_config_id: [u8; 48],
        mr_owner: [u8; 48],
        mr_owner_config: [u8; 48],
        rt_mr0: [u8; 48],
        rt_mr1: [u8; 48],
        rt_mr2: [u8; 48],
        rt_mr3: [u8; 48],
        report_data: [u8; 64],
    }
    /// The same with what version 1.5 adds.
    DomainReportLater { base: DomainReport, tee_tcb_svn2: [u8; 16], mr_service_td: [u8; 48] }
    /// An enclave of the older kind, which no node is.
    EnclaveReport {
        cpu_svn: [u8; 16],
        misc_select: u32,
        reserved1: [u8; 28],
        attributes: [u8; 16],
        mr_enclave: [u8; 32],
        reserved2: [u8; 32],
        mr_signer: [u8; 32],
        reserved3: [u8; 96],
        isv_prod_id: u16,
        isv_svn: u16,
        reserved4: [u8; 60],
        report_data: [u8; 64],
    }
    /// How current a part of the platform is: a number, and notices about it.
    PartStatus { status: u8, advisory_ids: Vec<String> }
    /// A quote that is genuine.
    VerifiedReport {
        status: String,
        advisory_ids: Vec<String>,
        report: Report,
        ppid: Vec<u8>,
        qe_status: PartStatus,
        platform_status: PartStatus,
    }
    /// Who submitted what; travels to the verifier's callback.
    VerificationContext { node: NodeId, attestation: DstackAttestation }
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum Report {
    SgxEnclave(EnclaveReport),
    TD10(DomainReport),
    TD15(DomainReportLater),
}

/// The verifier's own error.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifierError {
    DcapVerification(String),
}

/// What the verifier answers.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum VerificationResult {
    Verified(VerifiedReport),
    Rejected(VerifierError),
}

fn check(is_good: bool, reason: &str) -> Result<(), Refusal> {
    if is_good {
        return Ok(());
    }
    Err(Refusal::InvalidAttestation { reason: reason.to_string() })
}

fn read_hash<const SIZE: usize>(text: &str, what: &str) -> Result<Hex<SIZE>, Refusal> {
    let reason = || Refusal::InvalidAttestation { reason: format!("{what} is not {SIZE} bytes in hex") };
    decode_hex(text).map(Hex).ok_or_else(reason)
}

/// The report's own field: version, then SHA3-384 of the node's keys, then zeros.
fn compute_report_data(node: &NodeId) -> [u8; 64] {
    let mut hasher = Sha3_384::new();
    hasher.update(node.tls_public_key.0);
    hasher.update(node.account_public_key.0);
    let mut data = [0; 64];
    data[..2].copy_from_slice(&REPORT_VERSION);
    data[2..50].copy_from_slice(&hasher.finalize());
    data
}

impl TcbInfo {
    /// The one event of that name in the application's register.
    fn find_event(&self, name: &str) -> Result<&Event, Refusal> {
        let mut found =
            self.event_log.iter().filter(|event| event.imr == EVENT_REGISTER && event.event == name);
        let event = found.next();
        check(found.next().is_none(), &format!("duplicate {name} events in event log"))?;
        let reason = format!("no {name} event in event log");
        event.ok_or(Refusal::InvalidAttestation { reason })
    }

    /// What the register holds after all its events.
    fn replay_events(&self) -> Result<Hash384, Refusal> {
        let mut register = [0; 48];
        for event in self.event_log.iter().filter(|event| event.imr == EVENT_REGISTER) {
            check(event.event_type == EVENT_TYPE, "invalid event type")?;
            let digest: Hash384 = read_hash(&event.digest, "an event's digest")?;
            let payload = decode_hex_bytes(&event.event_payload);
            let reason = "an event's payload is not hex".to_string();
            let payload = payload.ok_or(Refusal::InvalidAttestation { reason })?;
            let mut hasher = Sha384::new();
            hasher.update(event.event_type.to_le_bytes());
            for part in [b":".as_slice(), event.event.as_bytes(), b":", &payload] {
                hasher.update(part);
            }
            check(hasher.finalize().as_slice() == digest.0, "wrong event_digest hash")?;
            let mut hasher = Sha384::new();
            hasher.update(register);
            hasher.update(digest.0);
            register.copy_from_slice(&hasher.finalize());
        }
        Ok(Hex(register))
    }

    /// The hash of the compose file, which is inside the measured app configuration; that must forbid whatever could
    /// run code or change the environment beside it.
    fn read_compose_hash(&self) -> Result<Hex<32>, Refusal> {
        let measured: Hex<32> =
            read_hash(&self.find_event("compose-hash")?.event_payload, "the compose hash")?;
        let is_same = Sha256::digest(&self.app_compose).as_slice() == measured.0;
        check(is_same, "wrong app_compose_payload hash")?;
        check(read_hash::<32>(&self.compose_hash, "compose_hash")? == measured, "wrong compose_hash")?;
        let compose: AppCompose = near_sdk::serde_json::from_str(&self.app_compose)
            .map_err(|error| Refusal::InvalidAttestation { reason: format!("app compose: {error}") })?;
        check(compose.is_locked_down(), "the app compose configuration allows what it must forbid")?;
        Ok(Hex(Sha256::digest(&compose.docker_compose_file).into()))
    }
}

/// The part of an app configuration that decides what else could run.
#[derive(near_sdk::serde::Deserialize)]
#[serde(crate = "near_sdk::serde")]
struct AppCompose {
    manifest_version: u32,
    runner: String,
    docker_compose_file: String,
    kms_enabled: bool,
    tproxy_enabled: Option<bool>,
    gateway_enabled: Option<bool>,
    public_logs: bool,
    public_sysinfo: bool,
    local_key_provider_enabled: bool,
    allowed_envs: Vec<String>,
    no_instance_id: bool,
    pre_launch_script: Option<String>,
    init_script: Option<String>,
    bash_script: Option<String>,
}

impl AppCompose {
    fn is_locked_down(&self) -> bool {
        let is_known_form = self.manifest_version == 2 && self.runner == "docker-compose";
        let has_no_gateway = self.gateway_enabled == Some(false) && self.tproxy_enabled != Some(true);
        let has_no_script = [&self.pre_launch_script, &self.init_script, &self.bash_script]
            .iter()
            .all(|script| script.is_none());
        is_known_form
            && has_no_gateway
            && has_no_script
            && !self.kms_enabled
            && self.local_key_provider_enabled
            && self.public_logs
            && self.public_sysinfo
            && self.no_instance_id
            && self.allowed_envs.is_empty()
    }
}

impl DstackAttestation {
    /// Hold a genuine quote against the node's keys, its own log, and what participants trust.
    pub fn verify(
        &self,
        node: &NodeId,
        verified: &VerifiedReport,
        rules: &Rules,
    ) -> Result<VerifiedAttestation, Refusal> {
        let report = match &verified.report {
            Report::TD10(report) => report,
            Report::TD15(report) => &report.base,
            Report::SgxEnclave(_) => {
                return check(false, "verification report is not TD10").map(|()| unreachable!())
            }
        };
        let status = &verified.status;
        check(status == "UpToDate", &format!("TCB status `{status}` is not up to date"))?;
        check(report.report_data == compute_report_data(node), "wrong report_data hash")?;
        check(self.tcb_info.replay_events()?.0 == report.rt_mr3, "wrong event_log hash")?;
        let image = &self.tcb_info.find_event("mpc-image-digest")?.event_payload;
        let provider = &self.tcb_info.find_event("key-provider")?.digest;
        let found = VerifiedDstack {
            mpc_image_hash: read_hash(image, "the image's digest")?,
            launcher_compose_hash: self.tcb_info.read_compose_hash()?,
            expiry_timestamp_seconds: now_seconds() + ATTESTATION_LIFE_SECONDS,
            measurements: Measurement {
                mrtd: Hex(report.mr_td),
                rtmr0: Hex(report.rt_mr0),
                rtmr1: Hex(report.rt_mr1),
                rtmr2: Hex(report.rt_mr2),
                key_provider_event_digest: read_hash(provider, "the key provider's digest")?,
            },
        };
        let attestation = VerifiedAttestation::Dstack(found);
        attestation.check(rules)?;
        Ok(attestation)
    }
}
