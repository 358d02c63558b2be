//! The images that a class selects: by id, name, tags, parameter of SSM or alias.
//!
//! Of images that fit the same nodes only one is kept: one that is not deprecated before one that is, then the newest.

pub(crate) mod alias;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use whittle_api::node_class::selectors::AmiSelectorTerm;
use whittle_api::node_class::status::{Ami, AmiRequirement};
use whittle_api::template::Operator;
use whittle_core::model::labels::ARCH;

use crate::classes::cache::Cache;
use crate::classes::filters::{Filters, by_id, of_tags, sdk};
use crate::classes::step::Miss;
use crate::connect::Clients;
use crate::error::{Failure, Reaction};

use alias::{Parameter, Variant, parameters};

/// So many on a page.
const PAGE: i32 = 1_000;
/// What a parameter of AWS's own says is asked again after this long (Karpenter: 24 h).
const ALIAS_LASTS: Duration = Duration::from_secs(24 * 3_600);
/// What a parameter of somebody else says is asked again after this long (Karpenter: 5 min).
const PARAMETER_LASTS: Duration = Duration::from_secs(5 * 60);
/// What images there are is asked again after this long (Karpenter: 5 min).
const IMAGES_LAST: Duration = Duration::from_secs(5 * 60);

/// Finds images.
#[derive(Debug)]
pub(crate) struct Images {
    clients: Clients,
    aliases: Cache<String, String>,
    parameters: Cache<String, String>,
    found: Cache<Vec<Asked>, Vec<Found>>,
}

/// One request for images.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    /// Whose images; anybody's that we may see when empty.
    owners: Vec<String>,
    filters: Filters,
}

/// An image as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    id: String,
    name: String,
    /// `amd64` or `arm64`.
    arch: &'static str,
    /// When it was made, in seconds.
    created: i64,
    is_deprecated: bool,
}

impl Images {
    /// Nothing was asked yet.
    pub(crate) const fn new(clients: Clients) -> Self {
        Self {
            clients,
            aliases: Cache::new(ALIAS_LASTS),
            parameters: Cache::new(PARAMETER_LASTS),
            found: Cache::new(IMAGES_LAST),
        }
    }

    /// The images of these terms, for a cluster of this version.
    pub(crate) async fn find(
        &self,
        terms: &[AmiSelectorTerm],
        kubernetes: Option<&str>,
    ) -> Result<Vec<Ami>, Miss> {
        let amis = match terms.iter().find_map(|term| term.alias.as_deref()) {
            Some(alias) => self.of_alias(alias, kubernetes).await?,
            None => {
                let mut asked = asked(terms);
                let mut ids = Vec::new();
                for path in terms.iter().filter_map(|term| term.ssm_parameter.as_ref()) {
                    ids.extend(self.parameter(path, &self.parameters).await?);
                }
                asked.extend(of_ids(ids));
                chosen(&self.images(asked).await?, |_| vec![Vec::new()])
            }
        };
        if amis.is_empty() {
            let message = "no image is selected by the terms of amiSelectorTerms".to_owned();
            return Err(Miss::Not { reason: "AMINotFound", message });
        }
        Ok(amis)
    }

    /// A parameter that is missing is no error as long as another is there.
    async fn of_alias(&self, alias: &str, kubernetes: Option<&str>) -> Result<Vec<Ami>, Miss> {
        let Some(kubernetes) = kubernetes else {
            let message = "the version of Kubernetes is not known yet".to_owned();
            return Err(Miss::Unknown { reason: "KubernetesVersionUnknown", message });
        };
        let parameters = parameters(alias, kubernetes)
            .map_err(|message| Miss::Not { reason: "UnsupportedAlias", message })?;
        let mut variants: BTreeMap<String, Vec<Variant>> = BTreeMap::new();
        let mut paths = BTreeMap::new();
        for Parameter { path, variants: of_path } in parameters {
            if let Some(id) = self.parameter(&path, &self.aliases).await? {
                variants.entry(id.clone()).or_default().extend(of_path);
                paths.insert(path, id);
            }
        }
        let found = self.images(of_ids(variants.keys().cloned().collect()).into_iter().collect()).await?;
        // What is deprecated was replaced, and the parameter says by what.
        for one in found.iter().filter(|one| one.is_deprecated) {
            paths.iter().filter(|(_, id)| **id == one.id).for_each(|(path, _)| self.aliases.remove(path));
        }
        Ok(chosen(&found, |id| {
            variants.get(id).into_iter().flatten().map(|variant| variant.requirements()).collect()
        }))
    }

    /// What a parameter says; `None` when it is not there.
    async fn parameter(
        &self,
        path: &String,
        kept: &Cache<String, String>,
    ) -> Result<Option<String>, Failure> {
        if let Some(known) = kept.get(path, Instant::now()) {
            return Ok(Some(known));
        }
        match self.clients.ssm.get_parameter().name(path).send().await {
            Ok(answer) => {
                let value = answer.parameter.and_then(|parameter| parameter.value);
                if let Some(value) = &value {
                    kept.put(path.clone(), value.clone(), Instant::now());
                }
                Ok(value)
            }
            Err(error) => match Failure::of("ssm:GetParameter", &error) {
                failure if failure.reaction() == Reaction::Missing => Ok(None),
                failure => Err(failure),
            },
        }
    }

    async fn images(&self, asked: Vec<Asked>) -> Result<Vec<Found>, Failure> {
        if let Some(known) = self.found.get(&asked, Instant::now()) {
            return Ok(known);
        }
        let mut found = Vec::new();
        for one in &asked {
            let request = self
                .clients
                .ec2
                .describe_images()
                .include_deprecated(true)
                .set_owners(Some(one.owners.clone()).filter(|owners| !owners.is_empty()))
                .set_filters(Some(sdk(&one.filters)));
            let mut pages = request.into_paginator().page_size(PAGE).send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| Failure::of("ec2:DescribeImages", &error))?;
                found.extend(page.images.unwrap_or_default());
            }
        }
        let now = DateTime::from(std::time::SystemTime::now()).secs();
        let found: Vec<Found> = found.iter().filter_map(|image| read(image, now)).collect();
        self.found.put(asked, found.clone(), Instant::now());
        Ok(found)
    }
}

/// What is asked for terms without aliases and parameters. A name alone would find images that strangers have shared
/// with everybody, so whoever gives one and no owner means his own or Amazon's.
fn asked(terms: &[AmiSelectorTerm]) -> Vec<Asked> {
    let ids = terms.iter().filter_map(|term| term.id.clone()).collect();
    let others =
        terms.iter().filter(|term| term.id.is_none() && (term.name.is_some() || term.tags.is_some()));
    let others = others.map(|term| {
        let owners = match (&term.owner, &term.name) {
            (Some(owner), _) => vec![owner.clone()],
            (None, Some(_)) => vec!["self".to_owned(), "amazon".to_owned()],
            (None, None) => Vec::new(),
        };
        let name = term.name.iter().map(|name| ("name".to_owned(), vec![name.clone()]));
        let filters = name.chain(term.tags.iter().flat_map(of_tags)).chain([available()]).collect();
        Asked { owners, filters }
    });
    of_ids(ids).into_iter().chain(others).collect()
}

fn of_ids(ids: Vec<String>) -> Option<Asked> {
    let filters = by_id("image-id", ids)?.into_iter().chain([available()]).collect();
    Some(Asked { owners: Vec::new(), filters })
}

fn available() -> (String, Vec<String>) {
    ("state".to_owned(), vec!["available".to_owned()])
}

/// `None` for what is no image of ours: another architecture, or without a name.
fn read(image: &types::Image, now: i64) -> Option<Found> {
    let arch = match image.architecture()? {
        types::ArchitectureValues::X8664 => "amd64",
        types::ArchitectureValues::Arm64 => "arm64",
        _ => return None,
    };
    let seconds =
        |text: Option<&str>| DateTime::from_str(text?, Format::DateTime).ok().map(|time| time.secs());
    Some(Found {
        id: image.image_id()?.to_owned(),
        name: image.name().unwrap_or_default().to_owned(),
        arch,
        created: seconds(image.creation_date()).unwrap_or(0),
        is_deprecated: seconds(image.deprecation_time()).is_some_and(|time| time <= now),
    })
}

/// One image for each set of nodes, those to prefer first. `fits` says for an id what its nodes are like beside their
/// architecture, once for each kind of nodes that it is for.
fn chosen(found: &[Found], fits: impl Fn(&str) -> Vec<Vec<AmiRequirement>>) -> Vec<Ami> {
    let mut found: Vec<&Found> = found.iter().collect();
    found.sort_by(|one, other| {
        let by_age = one.is_deprecated.cmp(&other.is_deprecated).then(other.created.cmp(&one.created));
        by_age.then_with(|| (&one.name, &one.id).cmp(&(&other.name, &other.id)))
    });
    let mut amis: Vec<Ami> = Vec::new();
    for one in found {
        for more in fits(&one.id) {
            let arch = AmiRequirement {
                key: ARCH.to_owned(),
                operator: Operator::In,
                values: vec![one.arch.to_owned()],
            };
            let requirements: Vec<AmiRequirement> = [arch].into_iter().chain(more).collect();
            if amis.iter().all(|known| known.requirements != requirements) {
                amis.push(Ami {
                    id: one.id.clone(),
                    name: Some(one.name.clone()).filter(|name| !name.is_empty()),
                    deprecated: one.is_deprecated.then_some(true),
                    requirements,
                });
            }
        }
    }
    amis
}

#[cfg(test)]
mod tests;
