use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn found(names: Vec<String>) -> Result<usize, TaskError> {
    let first = names.first();
    work(1).await?;
    Ok(first.map_or(0, String::len))
}

fn longest(names: &[String]) -> &String {
    &names[0]
}

#[orchestrator]
async fn iterator(names: Vec<String>) -> Result<usize, TaskError> {
    let mut rest = names.iter();
    rest.next();
    work(1).await?;
    Ok(rest.count())
}

#[orchestrator]
async fn hidden(name: String) -> Result<usize, TaskError> {
    let text = &name;
    let name = work(1).await?;
    Ok(text.len() + name as usize)
}

#[orchestrator]
async fn called(names: Vec<String>) -> Result<usize, TaskError> {
    let name = longest(&names);
    work(1).await?;
    Ok(name.len())
}

#[orchestrator]
async fn texts(n: u64) -> Result<usize, TaskError> {
    let label = if n == 1 { "one" } else { "many" };
    work(1).await?;
    Ok(label.len())
}

fn main() {
    let _ = texts(1);
    let _ = (found(Vec::new()), iterator(Vec::new()), hidden(String::new()));
    let _ = (called(Vec::new()), work(1));
}
