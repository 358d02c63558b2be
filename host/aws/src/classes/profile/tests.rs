use aws_smithy_types::DateTime;
use serde_json::{Value, json};

use super::*;
use crate::classes::validation::DryRun;
use crate::connect::without_credentials;

/// Profiles whose calls come to nothing: the clients have no credentials.
fn profiles(vpc: Vpc) -> Profiles {
    let (region, cluster) = ("eu-west-1".to_owned(), "shop".to_owned());
    Profiles::new(without_credentials(), &Settings { region, cluster, dry_run: DryRun::Asked, vpc })
}

/// A class with a role, or with what `change` says.
fn class(change: &Value) -> Ec2NodeClass {
    let mut spec = json!({
        "amiSelectorTerms": [{ "alias": "al2023@latest" }],
        "subnetSelectorTerms": [{ "id": "subnet-1" }],
        "securityGroupSelectorTerms": [{ "id": "sg-1" }],
    });
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let metadata = json!({ "name": "general", "uid": "uid" });
    let whole = json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": metadata, "spec": spec,
    });
    serde_json::from_value(whole).unwrap()
}

#[tokio::test]
async fn iam_is_called_for_the_profiles_of_roles_alone_and_never_from_an_isolated_vpc() {
    let (role, given) = (json!({ "role": "nodes" }), json!({ "instanceProfile": "own" }));
    // What comes of looking for the profile, and whether IAM was called to sweep and to remove all.
    let cases = [
        (Vpc::Open, &given, "found own", false),
        (Vpc::Isolated, &given, "found own", false),
        (Vpc::Isolated, &role, "not IsolatedVPC", false),
        (Vpc::Open, &role, "failed iam:GetInstanceProfile", true),
    ];
    for (vpc, spec, expected, is_called) in cases {
        let (profiles, class) = (profiles(vpc), class(spec));
        let said = match profiles.provide(&class).await {
            Ok(found) => format!("found {}", found.unwrap_or_default()),
            Err(Miss::Not { reason, .. }) => format!("not {reason}"),
            Err(Miss::Unknown { reason, .. }) => format!("unknown {reason}"),
            Err(Miss::Failed(failure)) => format!("failed {}", failure.operation),
        };
        assert_eq!(said, expected, "{vpc:?} {spec}");
        let called = (profiles.sweep(&class).await.is_err(), profiles.remove_all(&class).await.is_err());
        assert_eq!(called, (is_called, is_called), "{vpc:?} {spec}");
    }
}

fn wanted() -> Wanted {
    Wanted {
        name: "shop_1".to_owned(),
        path: "/karpenter/a/shop/uid/".to_owned(),
        role: "nodes".to_owned(),
        tags: [("team".to_owned(), "shop".to_owned())].into(),
    }
}

fn profile(roles: &[&str], team: &str) -> types::InstanceProfile {
    let role = |name: &&str| {
        types::Role::builder()
            .path("/")
            .role_name(*name)
            .role_id("AROA")
            .arn("arn:aws:iam::1:role/x")
            .create_date(DateTime::from_secs(0))
            .build()
            .unwrap()
    };
    types::InstanceProfile::builder()
        .path("/")
        .instance_profile_name("shop_1")
        .instance_profile_id("AIPA")
        .arn("arn:aws:iam::1:instance-profile/shop_1")
        .create_date(DateTime::from_secs(0))
        .set_roles(Some(roles.iter().map(role).collect()))
        .tags(types::Tag::builder().key("team").value(team).build().unwrap())
        .build()
        .unwrap()
}

#[test]
fn a_profile_is_mended_where_it_is_not_as_it_has_to_be() {
    let none = Repairs::default();
    let remove = |role: &str| vec![role.to_owned()];
    let cases = [
        (profile(&["nodes"], "shop"), none.clone()),
        (profile(&[], "shop"), Repairs { add: true, ..none.clone() }),
        (profile(&["old"], "shop"), Repairs { add: true, remove: remove("old"), ..none.clone() }),
        (profile(&["nodes"], "other"), Repairs { tag: true, ..none }),
    ];
    for (profile, expected) in cases {
        assert_eq!(repairs(&profile, &wanted()), expected);
    }
}

#[test]
fn a_profile_goes_an_hour_after_it_was_last_that_of_the_class() {
    let (now, hour) = (Instant::now(), PROTECTED);
    let names = BTreeSet::from(["old", "new"]);
    let mut retired = BTreeMap::new();
    assert_eq!(due(&mut retired, &names, Some("new"), now), BTreeSet::new());
    assert_eq!(due(&mut retired, &names, Some("new"), now + hour / 2), BTreeSet::new());
    assert_eq!(due(&mut retired, &names, Some("new"), now + hour), BTreeSet::from(["old".to_owned()]));
    // The role was changed back.
    assert_eq!(due(&mut retired, &names, Some("old"), now + hour), BTreeSet::new());
    assert_eq!(due(&mut retired, &names, Some("new"), now + hour), BTreeSet::new());
}

#[test]
fn the_name_of_a_profile_fits_iam_whatever_the_cluster_is_called() {
    let long = |letters: usize| "c".repeat(letters);
    for (cluster, kept) in [("shop".to_owned(), 4), (long(95), 95), (long(96), 95), (long(100), 95)] {
        let expected = format!("{}_{}", &cluster[..kept], digest("what"));
        assert_eq!(name(&cluster, "what"), expected);
        assert!(expected.len() <= NAME_MAX, "{expected}");
    }
}

#[test]
fn a_role_is_missing_only_when_iam_says_that_it_is_the_role() {
    let cases = [
        ("NoSuchEntity", "The role with name nodes cannot be found.", true),
        ("NoSuchEntity", "Instance Profile shop-role_1 cannot be found.", false),
        ("AccessDenied", "not allowed to pass the role nodes", false),
    ];
    for (code, message, expected) in cases {
        let operation = "iam:AddRoleToInstanceProfile";
        let failure = Failure { operation, code: Some(code.to_owned()), message: message.to_owned() };
        assert_eq!(is_about_role(&failure, "shop-role_1"), expected, "{message}");
    }
}
