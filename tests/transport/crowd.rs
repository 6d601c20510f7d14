//! Many who come and then say nothing.

use futures_util::{StreamExt, stream};
use readout::pb::{ListArticlesRequest, article_service_client::ArticleServiceClient};

use crate::support::{
    data_dir::DataDir,
    frames::{SETTINGS, Wire},
    program::Program,
};

const CROWD: usize = 2_000;
/// What one of them may take of the service's memory, which here is not optimized.
const MOST_KIB: usize = 64;

#[tokio::test]
async fn thousands_of_idle_connections_take_little_and_harm_nobody() {
    let dir = DataDir::with_database().await;
    let program = Program::serve(&dir).await;
    let address = program.address().await;
    let mut articles = ArticleServiceClient::new(program.channel().await);
    let request = ListArticlesRequest::default();
    articles.list_articles(request.clone()).await.unwrap();
    let before = program.memory_kib("VmRSS");
    let come = stream::iter(0..CROWD).map(async |_| {
        let mut wire = Wire::greeted(address).await;
        wire.until(|frame| frame.kind == SETTINGS).await.expect("it is taken in");
        wire
    });
    let crowd: Vec<_> = come.buffer_unordered(50).collect().await;
    let each = program.memory_kib("VmRSS").saturating_sub(before) / crowd.len();
    println!("{each} KiB for each of {} idle connections", crowd.len());
    assert!(each < MOST_KIB, "{each} KiB");
    articles.list_articles(request.clone()).await.unwrap();
    ArticleServiceClient::new(program.channel().await).list_articles(request).await.unwrap();
    drop(crowd);
    program.stop().await;
}
