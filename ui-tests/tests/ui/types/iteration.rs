use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

struct Pages(u64);

impl Iterator for Pages {
    type Item = u64;
    fn next(&mut self) -> Option<u64> {
        self.0 += 1;
        Some(self.0)
    }
}

#[orchestrator]
async fn custom() -> Result<u64, TaskError> {
    let mut sum = 0;
    for page in Pages(0) {
        sum += work(page).await?;
    }
    Ok(sum)
}

#[orchestrator]
async fn text(name: String) -> Result<u64, TaskError> {
    let mut sum = 0;
    for word in name.split(char::is_whitespace) {
        sum += work(word.len() as u64).await?;
    }
    Ok(sum)
}

fn main() {
    let _ = (custom(), text(String::new()), work(1));
}
