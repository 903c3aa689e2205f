async fn let_else(map: BTreeMap<String, u64>, k: String) -> Result<u64, TaskError> {
    let Some(x) = map.get(&k) else {
        log(k).await?;
        return Ok(0);
    };
    let later;
    match *x {
        0 => later = f(0).await?,
        n => later = n,
    }
    let v = 'found: {
        if later > 1 {
            break 'found f(later).await?;
        }
        7
    };
    Ok(v)
}
