async fn loops(items: Vec<Item>) -> Result<u64, TaskError> {
    let mut total = 0;
    'outer: for item in items {
        loop {
            match price(item.name.clone()).await? {
                0 => continue 'outer,
                p if p > 100 => break 'outer,
                p => {
                    total += p;
                    if total > 1000 {
                        return Ok(total);
                    }
                    break;
                }
            }
        }
        while total < 10 {
            total += price("filler".to_owned()).await?;
        }
    }
    Ok(total)
}
