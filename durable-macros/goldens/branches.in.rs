async fn branches(ctx: &OrchestrationContext, fail: bool) -> Result<i64, TaskError> {
    let (a, b) = try_join!(
        async {
            let a = echo(1).await?;
            Ok::<_, TaskError>(a + echo(2).await?)
        },
        async move {
            if fail {
                echo(4).await?;
            }
            Ok(10)
        },
    )?;
    select! {
        value = echo(a), if b > 1 => Ok(value? + b),
        _ = ctx.sleep(LIMIT) => Err(late(a).await?),
    }
}
