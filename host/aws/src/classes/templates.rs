//! The launch templates that were made for a class, at its end.

use whittle_core::model::labels;

use crate::classes::filters::{Filters, sdk};
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::launch::tags;

/// So many on a page.
const PAGE: i32 = 200;

/// Deletes the launch templates of a class.
pub(crate) async fn remove_all(clients: &Clients, cluster: &str, class: &str) -> Result<(), Failure> {
    let filters: Filters = vec![
        (format!("tag:{}", tags::CLUSTER), vec![cluster.to_owned()]),
        (format!("tag:{}", labels::NODE_CLASS), vec![class.to_owned()]),
    ];
    let mut ids = Vec::new();
    let request = clients.ec2.describe_launch_templates().set_filters(Some(sdk(&filters)));
    let mut pages = request.into_paginator().page_size(PAGE).send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::of("ec2:DescribeLaunchTemplates", &error))?;
        let templates = page.launch_templates.unwrap_or_default();
        ids.extend(templates.into_iter().filter_map(|template| template.launch_template_id));
    }
    for id in ids {
        let Err(error) = clients.ec2.delete_launch_template().launch_template_id(id).send().await else {
            continue;
        };
        let failure = Failure::of("ec2:DeleteLaunchTemplate", &error);
        if failure.reaction() != Reaction::Missing {
            return Err(failure);
        }
    }
    Ok(())
}
