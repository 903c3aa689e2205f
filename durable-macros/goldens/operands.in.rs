async fn operands(a: u64, b: String) -> u64 {
    let x = f(a).await + g(f(a + 1).await, b.clone()).await * 2;
    let ok = check(x).await && x > 3 || check(a).await;
    let mut list = vec![x];
    list.push(f(x).await);
    list[0] += f(1).await;
    let pair = (b, f(2).await, Point { x: f(3).await, y: ok });
    let value = if ok { f(4).await } else { pair.1 };
    value
}
