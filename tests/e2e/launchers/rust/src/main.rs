//! Starts a node through the crate near-sandbox, uses what it offers, and prints what it saw as JSON.

use near_account_id::AccountId;
use near_sandbox::{GenesisAccount, Sandbox, SandboxConfig};
use near_token::NearToken;
use serde_json::{json, Value};

fn query(url: &str, account_id: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let params = json!({"request_type": "view_account", "finality": "optimistic", "account_id": account_id});
    let body = json!({"jsonrpc": "2.0", "id": "t", "method": "query", "params": params});
    Ok(ureq::post(url).send_json(body)?.body_mut().read_json::<Value>()?["result"].take())
}

fn height(url: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = ureq::get(format!("{url}/status")).call()?.body_mut().read_json::<Value>()?;
    Ok(status["sync_info"]["latest_block_height"].as_u64().unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = std::time::Instant::now();
    let added: AccountId = "carl.test.near".parse()?;
    let config = SandboxConfig {
        additional_accounts: vec![GenesisAccount::default_with_name(added)],
        ..Default::default()
    };
    let sandbox = Sandbox::start_sandbox_with_config(config).await?;
    let ready_ms = started.elapsed().as_millis() as u64;
    let url = sandbox.rpc_addr.clone();

    let created: AccountId = "dora.sandbox".parse()?;
    sandbox.create_account(created).initial_balance(NearToken::from_near(7)).send().await?;
    let before = height(&url)?;
    sandbox.fast_forward(100).await?;
    let seen = json!({
        "ready_ms": ready_ms,
        "added": query(&url, "carl.test.near")?,
        "clone": query(&url, "clone")?,
        "created": query(&url, "dora.sandbox")?,
        "root": query(&url, "sandbox")?,
        "skipped": height(&url)? - before,
    });
    println!("{seen}");
    Ok(())
}
