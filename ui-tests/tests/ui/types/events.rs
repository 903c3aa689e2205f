use durable::prelude::*;

struct Approval(bool);

#[orchestrator]
async fn orchestration(ctx: &OrchestrationContext) -> Result<bool, TaskError> {
    let approval = ctx.wait_for_event::<Approval>("approval").await?;
    Ok(approval.0)
}

fn main() {
    let _ = orchestration();
}
