async fn empty() {}
