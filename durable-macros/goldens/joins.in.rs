async fn joins(ctx: &OrchestrationContext, names: Vec<String>) -> Result<u64, TaskError> {
    let task = ctx.spawn(size_of("x".to_owned()));
    let sizes = try_join_all(names.into_iter().map(size_of)).await?;
    let (a, b) = join!(size_of("a".to_owned()), ctx.sleep(Duration::from_secs(1)));
    let (c, d) = try_join!(size_of("c".to_owned()), task)?;
    Ok(sizes.iter().sum::<u64>() + a? + c + d)
}
