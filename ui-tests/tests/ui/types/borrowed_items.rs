use durable::prelude::*;

#[activity]
async fn work(n: String) -> usize {
    n.len()
}

#[orchestrator]
async fn counts(names: Vec<String>) -> Result<usize, TaskError> {
    let mut seen = 0;
    let mut sum = 0;
    for name in names.iter().filter(|_| { seen += 1; seen < 3 }) {
        sum += work(name.clone()).await?;
    }
    Ok(sum)
}

#[orchestrator]
async fn literals(more: Vec<String>) -> Result<usize, TaskError> {
    let mut sum = 0;
    for name in ["a", "b", more[0].as_str()] {
        sum += work(name.to_owned()).await?;
    }
    Ok(sum)
}

fn main() {
    let _ = (counts(Vec::new()), literals(Vec::new()), work(String::new()));
}
