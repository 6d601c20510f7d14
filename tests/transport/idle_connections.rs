//! Many idle connections.

use futures_util::{StreamExt, stream};
use readout::pb::{ListArticlesRequest, article_service_client::ArticleServiceClient};

use crate::support::{
    data_dir::DataDir,
    frames::{SETTINGS, Wire},
    program::Program,
};

const CONNECTIONS: usize = 2_000;
/// The memory limit per connection. The service of this test is an unoptimized build.
const MAX_KIB: usize = 64;

#[tokio::test]
async fn thousands_of_idle_connections_use_little_memory_and_block_no_call() {
    let dir = DataDir::with_database().await;
    let program = Program::serve(&dir).await;
    let address = program.address().await;
    let mut articles = ArticleServiceClient::new(program.channel().await);
    let request = ListArticlesRequest::default();
    articles.list_articles(request.clone()).await.unwrap();
    let before = program.memory_kib("VmRSS");
    let connect = stream::iter(0..CONNECTIONS).map(async |_| {
        let mut wire = Wire::greeted(address).await;
        wire.until(|frame| frame.kind == SETTINGS).await.expect("the connection is accepted");
        wire
    });
    let connections: Vec<_> = connect.buffer_unordered(50).collect().await;
    let each = program.memory_kib("VmRSS").saturating_sub(before) / connections.len();
    println!("{each} KiB for each of {} idle connections", connections.len());
    assert!(each < MAX_KIB, "{each} KiB");
    articles.list_articles(request.clone()).await.unwrap();
    ArticleServiceClient::new(program.channel().await).list_articles(request).await.unwrap();
    drop(connections);
    program.stop().await;
}
