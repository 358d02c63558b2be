use serde_json::json;

use super::*;

fn found(id: &str, arch: &'static str, created: i64) -> Found {
    Found { id: id.to_owned(), name: format!("name-of-{id}"), arch, created, is_deprecated: false }
}

fn words(amis: &[Ami]) -> Vec<String> {
    let requirement = |one: &AmiRequirement| {
        let key = one.key.rsplit('/').next().unwrap();
        format!("{key} {:?} {}", one.operator, one.values.join(",")).trim_end().to_owned()
    };
    let one = |ami: &Ami| {
        let requirements: Vec<String> = ami.requirements.iter().map(requirement).collect();
        let deprecated = if ami.deprecated == Some(true) { " (deprecated)" } else { "" };
        format!("{}{deprecated}: {}", ami.id, requirements.join("; "))
    };
    amis.iter().map(one).collect()
}

#[test]
fn names_are_ours_or_amazons_unless_an_owner_is_given_and_tags_are_anybodys() {
    let terms = json!([
        { "id": "ami-1" },
        { "name": "shop-*" },
        { "name": "shop", "owner": "123456789012", "tags": { "team": "shop" } },
        { "tags": { "team": "*" } },
        { "ssmParameter": "/shop/image" },
        { "id": "ami-2" },
    ]);
    let terms: Vec<AmiSelectorTerm> = serde_json::from_value(terms).unwrap();
    let one = |asked: &Asked| {
        let filters: Vec<String> =
            asked.filters.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect();
        format!("[{}] {}", asked.owners.join(","), filters.join(" "))
    };
    let expected = [
        "[] image-id=ami-1,ami-2 state=available",
        "[self,amazon] name=shop-* state=available",
        "[123456789012] name=shop tag:team=shop state=available",
        "[] tag-key=team state=available",
    ];
    assert_eq!(asked(&terms).iter().map(one).collect::<Vec<_>>(), expected);
}

#[test]
fn of_images_for_the_same_nodes_the_newest_that_is_not_deprecated_is_kept() {
    let old = found("ami-old", "amd64", 1);
    let new = found("ami-new", "amd64", 2);
    let newest = Found { is_deprecated: true, ..found("ami-newest", "amd64", 3) };
    let arm = Found { is_deprecated: true, ..found("ami-arm", "arm64", 1) };
    let amis = chosen(&[old.clone(), newest, arm, new.clone()], |_| vec![Vec::new()]);
    assert_eq!(words(&amis), ["ami-new: arch In amd64", "ami-arm (deprecated): arch In arm64"]);
    let same_age = Found { created: 2, name: "a".into(), ..old };
    assert_eq!(words(&chosen(&[new, same_age], |_| vec![Vec::new()])), ["ami-old: arch In amd64"]);
}

#[test]
fn an_image_that_is_for_several_kinds_of_nodes_is_kept_for_each() {
    let both = found("ami-gpu", "amd64", 2);
    let plain = found("ami-plain", "amd64", 1);
    let fits = |id: &str| match id {
        "ami-gpu" => vec![Variant::Neuron.requirements(), Variant::Nvidia.requirements()],
        _ => vec![Variant::Standard.requirements()],
    };
    let expected = [
        "ami-gpu: arch In amd64; instance-accelerator-count Exists",
        "ami-gpu: arch In amd64; instance-gpu-count Exists",
        "ami-plain: arch In amd64; instance-accelerator-count DoesNotExist; instance-gpu-count DoesNotExist",
    ];
    assert_eq!(words(&chosen(&[both, plain], fits)), expected);
}

#[test]
fn an_image_is_read_as_ec2_describes_it() {
    let image = |arch: &str| {
        types::Image::builder()
            .image_id("ami-1")
            .name("one")
            .architecture(types::ArchitectureValues::from(arch))
            .creation_date("1970-01-01T00:01:00.000Z")
            .deprecation_time("1970-01-01T00:10:00.000Z")
            .build()
    };
    let expected = |is_deprecated| Found { name: "one".into(), is_deprecated, ..found("ami-1", "arm64", 60) };
    assert_eq!(read(&image("arm64"), 599), Some(expected(false)));
    assert_eq!(read(&image("arm64"), 600), Some(expected(true)));
    assert_eq!(read(&image("i386"), 600), None);
}
