use super::*;

fn door(all: usize, of_one_address: usize, trusted: &[&str]) -> Arc<Door> {
    let bounds = ConnectionBounds { all, of_one_address, unread: UNREAD };
    Door::new(bounds, trusted.iter().map(|network| network.parse().unwrap()).collect())
}

fn enter(door: &Arc<Door>, peer: &str) -> Option<Place> {
    door.enter(peer.parse().unwrap()).ok()
}

#[test]
fn address_has_its_share_and_others_have_theirs() {
    let door = door(100, 2, &[]);
    let mut places = vec![enter(&door, "192.0.2.1").unwrap(), enter(&door, "::ffff:192.0.2.1").unwrap()];
    assert!(enter(&door, "192.0.2.1").is_none());
    let _other = enter(&door, "192.0.2.2").unwrap();
    places.pop();
    assert!(enter(&door, "192.0.2.1").is_some());
}

#[test]
fn ipv6_network_of_a_client_counts_as_one_address() {
    let door = door(100, 2, &[]);
    let _places = [enter(&door, "2001:db8::1").unwrap(), enter(&door, "2001:db8::2").unwrap()];
    assert!(enter(&door, "2001:db8::3").is_none());
    assert!(enter(&door, "2001:db8:0:1::1").is_some());
}

#[test]
fn trusted_proxy_is_bounded_only_by_the_whole() {
    let door = door(10, 1, &["10.0.0.0/8"]);
    let places: Vec<Place> = (0..10).map(|_| enter(&door, "10.0.0.1").unwrap()).collect();
    assert!(enter(&door, "10.0.0.1").is_none());
    assert!(enter(&door, "192.0.2.1").is_none());
    drop(places);
    assert!(enter(&door, "192.0.2.1").is_some());
}

#[test]
fn full_server_has_room_for_this_machine() {
    let door = door(2, 2, &[]);
    let _places = [enter(&door, "192.0.2.1").unwrap(), enter(&door, "192.0.2.2").unwrap()];
    assert!(enter(&door, "192.0.2.3").is_none());
    assert!(enter(&door, "127.0.0.1").is_some());
    assert!(enter(&door, "::1").is_some());
}

#[test]
fn those_who_left_are_forgotten() {
    let door = door(10, 10, &[]);
    drop([enter(&door, "192.0.2.1"), enter(&door, "2001:db8::1")]);
    assert!(door.open().by_network.is_empty());
    assert_eq!(door.open().all, 0);
}

#[test]
fn bounds_leave_files_for_the_database() {
    let bounds = |limit| {
        let bounds = ConnectionBounds::for_open_files(limit);
        (bounds.all, bounds.of_one_address)
    };
    assert_eq!(bounds(1024), (768, 192));
    assert_eq!(bounds(65_536), (8192, 256));
    assert_eq!(bounds(u64::MAX), (8192, 256));
    assert_eq!(bounds(64), (32, 8));
    assert_eq!(bounds(0), (1, 1));
}

#[test]
fn refusal_is_as_long_as_it_says() {
    let text = std::str::from_utf8(REFUSAL).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}\r\n", body.len()))
            || head.ends_with(&format!("content-length: {}", body.len()))
    );
}
