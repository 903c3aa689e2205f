async fn shadowing(x: u64) -> u64 {
    let y = {
        let x = f(x).await;
        let x = x + 1;
        f(x).await;
        format!("{x}")
    };
    loop {
        if let Some(x) = find(y.clone()).await {
            if x > 3 {
                break;
            }
            f(x).await;
        }
    }
    x
}
