use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{self, Command};

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    let _ = fs::read("file");
    let _ = File::open("file");
    let _ = TcpStream::connect("localhost:80");
    let _ = reqwest::get("http://localhost");
    let _ = sqlx::query("SELECT 1");
    let _ = Command::new("ls");
    println!("done");
    process::exit(1);
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
