use super::*;

#[test]
fn every_kind_of_message_says_what_it_says() {
    let id = || "i-0123456789abcdef0".to_owned();
    let cases = [
        (include_str!("shapes/spot.json"), one("spot_interrupted", id(), NoticeKind::Reclaim)),
        (include_str!("shapes/rebalance.json"), one("rebalance_recommendation", id(), NoticeKind::Rebalance)),
        (include_str!("shapes/stopping.json"), one("instance_stopped", id(), NoticeKind::StateChange)),
        (include_str!("shapes/running.json"), Said { kind: NOTHING, ..Said::default() }),
        (
            include_str!("shapes/reservation.json"),
            one("capacity_reservation_interrupted", id(), NoticeKind::Reclaim),
        ),
        (
            include_str!("shapes/health.json"),
            Said {
                kind: "scheduled_change",
                notices: vec![(id(), NoticeKind::Maintenance), ("i-1".to_owned(), NoticeKind::Maintenance)],
                happens: read(include_str!("shapes/health.json")).unwrap().said,
                ..Said::default()
            },
        ),
        (include_str!("shapes/health-closed.json"), Said { kind: NOTHING, ..Said::default() }),
        (include_str!("shapes/other.json"), Said { kind: NOTHING, ..Said::default() }),
    ];
    for (body, expected) in cases {
        let found = read(body).unwrap();
        assert!(found.said.is_some(), "{body}");
        assert_eq!(found, Said { said: found.said, ..expected }, "{body}");
    }
}

#[test]
fn a_spot_instance_goes_two_minutes_after_its_warning_and_one_that_stops_at_once() {
    let seconds = |body: &str| {
        let said = read(body).unwrap();
        let at = said.said.unwrap();
        said.notices(at).first().map(|notice| notice.deadline.since(at).millis() / 1_000)
    };
    assert_eq!(seconds(include_str!("shapes/spot.json")), Some(120));
    assert_eq!(seconds(include_str!("shapes/stopping.json")), Some(0));
    assert_eq!(seconds(include_str!("shapes/health.json")), Some(0));
    assert_eq!(seconds(include_str!("shapes/running.json")), None);
}

#[test]
fn what_is_no_message_is_refused_with_the_reason() {
    let bent = include_str!("shapes/spot.json").replace("instance-id", "id");
    let cases = [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[]", "invalid length 0, expected struct Envelope with 5 elements at line 1 column 2"),
        (bent.as_str(), "EC2 Spot Instance Interruption Warning: missing field `instance-id`"),
    ];
    for (body, expected) in cases {
        assert_eq!(read(body), Err(expected.to_owned()), "{body}");
    }
}
