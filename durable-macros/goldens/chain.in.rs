async fn chain(ctx: &OrchestrationContext, order: Order) -> Result<Receipt, CheckoutError> {
    let receipt = charge_card(order.clone()).await?;
    if order.total > 100_00 {
        audit(order.id, receipt.clone()).await?;
    }
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(receipt)
}
