use super::*;

#[test]
fn every_kind_of_message_says_what_it_says() {
    let id = || "i-0123456789abcdef0".to_owned();
    let cases = [
        (include_str!("shapes/spot.json"), one("spot_interrupted", id(), NoticeKind::Reclaim)),
        (include_str!("shapes/rebalance.json"), one("rebalance_recommendation", id(), NoticeKind::Rebalance)),
        (include_str!("shapes/stopping.json"), one("instance_stopped", id(), NoticeKind::StateChange)),
        (include_str!("shapes/running.json"), Said { kind: "no_op", notices: vec![] }),
        (
            include_str!("shapes/reservation.json"),
            one("capacity_reservation_interrupted", id(), NoticeKind::Reclaim),
        ),
        (
            include_str!("shapes/health.json"),
            Said {
                kind: "scheduled_change",
                notices: vec![(id(), NoticeKind::Maintenance), ("i-1".to_owned(), NoticeKind::Maintenance)],
            },
        ),
        (include_str!("shapes/other.json"), Said { kind: "no_op", notices: vec![] }),
    ];
    for (body, expected) in cases {
        assert_eq!(read(body), Ok(expected), "{body}");
    }
}

#[test]
fn what_is_no_message_is_refused_with_the_reason() {
    let bent = include_str!("shapes/spot.json").replace("instance-id", "id");
    let cases = [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[]", "invalid length 0, expected struct Envelope with 4 elements at line 1 column 2"),
        (bent.as_str(), "EC2 Spot Instance Interruption Warning: missing field `instance-id`"),
    ];
    for (body, expected) in cases {
        assert_eq!(read(body), Err(expected.to_owned()), "{body}");
    }
}
