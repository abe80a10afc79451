//! The operator as a process, before a real API server. Where no API server was built the test says so and shows nothing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "claims that do not hold end the test, and those that do are told"
)]

mod bed;
mod chart;
mod scale;
mod scene;
mod sidecar;

use bed::{Bed, built};
use scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_its_work_on_a_real_api_server() {
    let Some(server) = built("cluster-", "kube-apiserver") else {
        println!("not shown here: no kube-apiserver; `cargo xtask cluster up` builds one");
        return;
    };
    let bed = Bed::up(&server).await;
    let scene = Scene::set(&bed).await;
    scene.a_gateway_becomes_a_signed_bundle_in_four_maps().await;
    scene
        .a_changed_policy_is_signed_anew_and_pods_are_touched()
        .await;
    scene
        .sidecars_of_this_pod_and_gateway_alone_are_let_in_and_make_it_programmed()
        .await;
    scene
        .bundles_that_are_edited_or_deleted_are_repaired()
        .await;
    scene.what_is_at_rest_is_not_written().await;
    scene.the_younger_of_two_gateways_loses_the_pods().await;
    scene
        .policies_and_guardrails_are_told_how_far_they_are()
        .await;
    scene
        .webhooks_believe_the_authority_that_serves_them()
        .await;
    let scene = scene
        .a_second_replica_takes_over_and_writes_nothing_anew()
        .await;
    scene
        .a_deleted_gateway_denies_everything_until_its_last_pod_is_gone()
        .await;
    scene.in_a_namespace_that_goes_nothing_is_tried().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_gives_the_operator_the_rights_it_needs_and_its_webhooks_the_pods() {
    let (Some(server), Some(helm)) = (built("cluster-", "kube-apiserver"), built("helm-", "helm"))
    else {
        println!("not shown here: no kube-apiserver or helm; `cargo xtask cluster up` builds them");
        return;
    };
    let bed = Bed::up(&server).await;
    chart::shown(&bed, &helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_cluster_costs_what_is_printed() {
    let server = built("cluster-", "kube-apiserver");
    let (Some(server), Ok(_)) = (server, std::env::var("SALLYPORT_SCALE")) else {
        println!(
            "not shown here: takes minutes; set SALLYPORT_SCALE=1, SALLYPORT_OPERATOR to a release build, and have a kube-apiserver"
        );
        return;
    };
    scale::measured(&Bed::up(&server).await).await;
}
