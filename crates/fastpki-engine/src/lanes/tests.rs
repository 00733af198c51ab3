use std::sync::mpsc;

use super::*;

/// Work that lasts until its gate is opened.
fn gate() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (open, opened) = mpsc::channel::<()>();
    // An error is a gate that was dropped, which opens it too.
    (open, move || {
        let _ = opened.recv();
    })
}

fn principal(user: i32) -> Option<PrincipalId> {
    Some(PrincipalId::User(fastpki_types::UserId(user)))
}

/// Starts as many changes of passwords as one user may have at once.
async fn full_share(lanes: &Lanes, user: i32) -> (Vec<mpsc::Sender<()>>, Vec<tokio::task::JoinHandle<()>>) {
    let mut gates = Vec::new();
    let mut running = Vec::new();
    for _ in 0..PASSWORDS_PER_USER {
        let (open, work) = gate();
        let lanes = lanes.clone();
        running.push(tokio::spawn(async move { lanes.password(principal(user), work).await.unwrap() }));
        gates.push(open);
    }
    while lanes.password_shares.take(principal(user), PASSWORDS_PER_USER, "full").is_ok() {
        tokio::task::yield_now().await;
    }
    (gates, running)
}

/// Starts as many changes of passwords as there may be at once.
async fn full_queue(lanes: &Lanes) -> Vec<mpsc::Sender<()>> {
    let mut all = Vec::new();
    for user in 0.. {
        if lanes.passwords.places_left() == 0 {
            break;
        }
        all.extend(full_share(lanes, user).await.0);
        tokio::task::yield_now().await;
    }
    all
}

#[tokio::test]
async fn user_who_changes_many_passwords_is_told_to_wait_and_others_are_not() {
    let lanes = Lanes::new();
    let (gates, running) = full_share(&lanes, 1).await;
    assert!(matches!(lanes.password(principal(1), || ()).await, Err(Error::Busy(_))));
    let other = lanes.clone();
    let other = tokio::spawn(async move { other.password(principal(2), || ()).await });
    drop(gates);
    for running in running {
        running.await.unwrap();
    }
    other.await.unwrap().unwrap();
    lanes.password(principal(1), || ()).await.unwrap();
    assert!(lanes.password_shares.is_empty());
}

#[tokio::test]
async fn nobody_waits_behind_more_new_passwords_than_the_queue_holds() {
    let lanes = Lanes::new();
    let _gates = full_queue(&lanes).await;
    let refused = lanes.password(principal(-1), || ()).await;
    assert!(matches!(refused, Err(Error::Busy(_))));
}

#[tokio::test]
async fn sign_ins_do_not_wait_for_new_passwords() {
    let lanes = Lanes::new();
    let _gates = full_queue(&lanes).await;
    lanes.sign_in(|| ()).await.unwrap();
}

#[tokio::test]
async fn sign_ins_beyond_the_queue_are_told_to_come_again() {
    let lanes = Lanes::new();
    let mut gates = Vec::new();
    while lanes.sign_ins.places_left() > 0 {
        let (open, work) = gate();
        let before = lanes.sign_ins.places_left();
        let waiting = lanes.clone();
        tokio::spawn(async move { waiting.sign_in(work).await });
        while lanes.sign_ins.places_left() == before {
            tokio::task::yield_now().await;
        }
        gates.push(open);
    }
    assert!(matches!(lanes.sign_in(|| ()).await, Err(Error::Busy(_))));
}

#[tokio::test]
async fn reader_waits_for_its_own_reads_and_not_for_those_of_others() {
    use futures_util::FutureExt;

    let lanes = Lanes::new();
    let (one, other) =
        (PrincipalId::User(fastpki_types::UserId(1)), PrincipalId::User(fastpki_types::UserId(2)));
    let first = lanes.reading(one).now_or_never().unwrap();
    let second = lanes.reading(one).now_or_never().unwrap();
    assert!(lanes.reading(one).now_or_never().is_none());
    drop(lanes.reading(other).now_or_never().unwrap());
    drop(first);
    let third = lanes.reading(one).now_or_never().unwrap();
    drop((second, third));
    assert!(lanes.readers.is_empty());
}

#[tokio::test]
async fn each_principal_has_one_large_body_some_wait_and_the_rest_are_told_to_come_again() {
    let lanes = Lanes::new();
    let user = |id| PrincipalId::User(fastpki_types::UserId(id));
    let first = lanes.large_body(user(0)).await.unwrap();
    assert!(matches!(lanes.large_body(user(0)).await, Err(Error::Busy(_))));
    let _second = lanes.large_body(user(1)).await.unwrap();
    let waiting: Vec<_> = (2..10)
        .map(|id| {
            let lanes = lanes.clone();
            tokio::spawn(async move { lanes.large_body(user(id)).await.is_ok() })
        })
        .collect();
    while lanes.large_bodies.places_left() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(lanes.large_body(user(10)).await, Err(Error::Busy(_))));
    // Reading on another thread keeps the turn.
    let on_a_thread = first.clone();
    drop(first);
    assert!(matches!(lanes.large_body(user(0)).await, Err(Error::Busy(_))));
    drop(on_a_thread);
    for waiting in waiting {
        assert!(waiting.await.unwrap());
    }
}
