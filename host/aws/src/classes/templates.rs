//! Launch templates that were made for this cluster: found, and deleted.

use aws_sdk_ec2::types::LaunchTemplate;
use whittle_core::model::labels;

use crate::classes::filters::{Filters, sdk};
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::launch::tags;

/// So many on a page.
const PAGE: i32 = 200;

/// Deletes the launch templates of a class, at its end.
pub(crate) async fn remove_all(clients: &Clients, cluster: &str, class: &str) -> Result<(), Failure> {
    let of_class = [(tags::CLUSTER, cluster), (labels::NODE_CLASS, class)];
    for template in all(clients, &of_class).await? {
        remove(clients, template.launch_template_id.unwrap_or_default()).await?;
    }
    Ok(())
}

/// All launch templates with these tags.
pub(crate) async fn all(clients: &Clients, with: &[(&str, &str)]) -> Result<Vec<LaunchTemplate>, Failure> {
    let filters: Filters =
        with.iter().map(|(key, value)| (format!("tag:{key}"), vec![(*value).to_owned()])).collect();
    let mut found = Vec::new();
    let request = clients.ec2.describe_launch_templates().set_filters(Some(sdk(&filters)));
    let mut pages = request.into_paginator().page_size(PAGE).send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::of("ec2:DescribeLaunchTemplates", &error))?;
        found.extend(page.launch_templates.unwrap_or_default());
    }
    Ok(found)
}

/// Deletes a launch template. One that is gone is deleted.
pub(crate) async fn remove(clients: &Clients, id: String) -> Result<(), Failure> {
    let Err(error) = clients.ec2.delete_launch_template().launch_template_id(id).send().await else {
        return Ok(());
    };
    let failure = Failure::of("ec2:DeleteLaunchTemplate", &error);
    if failure.reaction() == Reaction::Missing { Ok(()) } else { Err(failure) }
}
