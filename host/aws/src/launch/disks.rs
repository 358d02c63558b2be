//! The disks of a launch template: those of the class, or what the family's image has when it says nothing.

use aws_sdk_ec2::types as ec2;
use whittle_api::convert::node_class::ami_family;
use whittle_api::node_class::hardware::{BlockDevice, VolumeType};
use whittle_api::node_class::{AmiFamily, Ec2NodeClassSpec};
use whittle_api::quantity;

/// EC2 counts the size of a volume in these.
const GIBIBYTE: u64 = 1 << 30;

type Mapping = ec2::LaunchTemplateBlockDeviceMappingRequest;

/// The mappings.
///
/// # Errors
///
/// A size that cannot be read.
pub(super) fn mappings(spec: &Ec2NodeClassSpec) -> Result<Vec<Mapping>, String> {
    if spec.block_device_mappings.is_empty() {
        return Ok(of_family(ami_family(spec)));
    }
    spec.block_device_mappings
        .iter()
        .map(|one| {
            let ebs = one.ebs.as_ref().map(volume).transpose()?;
            Ok(Mapping::builder().set_device_name(one.device_name.clone()).set_ebs(ebs).build())
        })
        .collect()
}

/// The disks of an image whose class says nothing, in GiB (Karpenter).
fn of_family(family: AmiFamily) -> Vec<Mapping> {
    let disks: &[(&str, i32)] = match family {
        AmiFamily::AL2 | AmiFamily::AL2023 => &[("/dev/xvda", 20)],
        AmiFamily::Bottlerocket => &[("/dev/xvda", 4), ("/dev/xvdb", 20)],
        AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => &[("/dev/sda1", 50)],
        AmiFamily::Custom => &[],
    };
    let mapping = |(device, size): &(&str, i32)| {
        let volume = ec2::LaunchTemplateEbsBlockDeviceRequest::builder()
            .volume_type(ec2::VolumeType::Gp3)
            .volume_size(*size)
            .encrypted(true)
            .delete_on_termination(true)
            .build();
        Mapping::builder().device_name(*device).ebs(volume).build()
    };
    disks.iter().map(mapping).collect()
}

fn volume(device: &BlockDevice) -> Result<ec2::LaunchTemplateEbsBlockDeviceRequest, String> {
    let size = device.volume_size.as_deref().map(gibibytes).transpose()?;
    Ok(ec2::LaunchTemplateEbsBlockDeviceRequest::builder()
        .set_volume_size(size)
        .set_volume_type(device.volume_type.map(kind))
        .set_encrypted(device.encrypted)
        .set_delete_on_termination(device.delete_on_termination)
        .set_iops(device.iops.and_then(|iops| i32::try_from(iops).ok()))
        .set_throughput(device.throughput.and_then(|throughput| i32::try_from(throughput).ok()))
        .set_kms_key_id(device.kms_key_id.clone())
        .set_snapshot_id(device.snapshot_id.clone())
        .set_volume_initialization_rate(device.volume_initialization_rate)
        .build())
}

/// A size in GiB, no smaller than it was asked for.
fn gibibytes(size: &str) -> Result<i32, String> {
    let bytes = quantity::amount(
        "ephemeral-storage",
        &k8s_openapi::apimachinery::pkg::api::resource::Quantity(size.to_owned()),
    );
    let whole = bytes.and_then(|bytes| i32::try_from(bytes.div_ceil(GIBIBYTE)).ok());
    whole.ok_or_else(|| {
        format!("spec.blockDeviceMappings has a volumeSize {size:?}, expected a size such as 20Gi")
    })
}

const fn kind(kind: VolumeType) -> ec2::VolumeType {
    match kind {
        VolumeType::Standard => ec2::VolumeType::Standard,
        VolumeType::Io1 => ec2::VolumeType::Io1,
        VolumeType::Io2 => ec2::VolumeType::Io2,
        VolumeType::Gp2 => ec2::VolumeType::Gp2,
        VolumeType::Sc1 => ec2::VolumeType::Sc1,
        VolumeType::St1 => ec2::VolumeType::St1,
        VolumeType::Gp3 => ec2::VolumeType::Gp3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_whole_gibibytes() {
        for (size, expected) in [("20Gi", 20), ("20G", 19), ("1Ti", 1_024), ("1T", 932)] {
            assert_eq!(gibibytes(size), Ok(expected), "{size}");
        }
        assert!(gibibytes("many").unwrap_err().contains("\"many\""));
    }

    #[test]
    fn a_class_that_says_nothing_has_the_disks_of_its_family() {
        let devices = |family| {
            let found = of_family(family).into_iter();
            found.map(|one| one.device_name().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(devices(AmiFamily::AL2023), ["/dev/xvda"]);
        assert_eq!(devices(AmiFamily::Bottlerocket), ["/dev/xvda", "/dev/xvdb"]);
        assert!(devices(AmiFamily::Custom).is_empty());
    }
}
