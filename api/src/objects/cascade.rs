//! The preview of a delete.

use poem_openapi::Object;
use tenantry_shared::objects::{Cascade, Named, Part};
use uuid::Uuid;

/// An object by its name.
#[derive(Debug, Object)]
#[oai(rename = "CascadeObject")]
pub(crate) struct NamedOut {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
}

/// An object by its kind and name.
#[derive(Debug, Object)]
#[oai(rename = "CascadeRelated")]
pub(crate) struct RelatedOut {
    /// Which kind of object: `folder`, `role`, `role_assignment`, `user_group`, `team`, `user` or `invitation`.
    model: String,
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
}

/// Objects of one kind.
#[derive(Debug, Object)]
#[oai(rename = "CascadeGroup")]
pub(crate) struct GroupOut {
    /// Which kind of object.
    model: String,
    /// The same for people.
    verbose_name: String,
    /// Those that you may see.
    objects: Vec<NamedOut>,
}

/// Objects that share a fate.
#[derive(Debug, Object)]
#[oai(rename = "CascadePart")]
pub(crate) struct PartOut {
    /// How many. Objects that you may not see, sessions and tokens are counted, and not named.
    count: i64,
    /// Those that you may see, by kind.
    grouped_objects: Vec<GroupOut>,
    /// The same in one list.
    related_objects: Vec<RelatedOut>,
    /// It in a sentence.
    message: String,
    /// `info` where there is nothing to think about, else `warning`.
    level: String,
}

/// What deleting an object would do.
#[derive(Debug, Object)]
#[oai(rename = "Cascade")]
pub(crate) struct CascadeOut {
    /// What would go with it. The object itself is not counted.
    deleted: PartOut,
    /// What would stay, but lose something: a member, a group, a part of a perimeter, the inviter. An open invitation into a
    /// folder that goes is revoked.
    affected: PartOut,
}

impl From<Cascade> for CascadeOut {
    fn from(cascade: Cascade) -> Self {
        Self {
            deleted: PartOut::new(cascade.deleted, "deleted with it"),
            affected: PartOut::new(cascade.affected, "changed by it"),
        }
    }
}

impl PartOut {
    fn new(part: Part, fate: &str) -> Self {
        let objects = match part.count {
            0 => "Nothing else is".to_owned(),
            1 => "1 object is".to_owned(),
            count => format!("{count} objects are"),
        };
        let related =
            |named: &Named| RelatedOut { model: named.kind.model().to_owned(), id: named.id, name: named.name.clone() };
        Self {
            count: part.count,
            related_objects: part.groups.iter().flat_map(|group| &group.objects).map(related).collect(),
            message: format!("{objects} {fate}."),
            level: if part.count == 0 { "info" } else { "warning" }.to_owned(),
            grouped_objects: part
                .groups
                .into_iter()
                .map(|group| GroupOut {
                    model: group.kind.model().to_owned(),
                    verbose_name: group.kind.verbose_name().to_owned(),
                    objects: group.objects.into_iter().map(|o| NamedOut { id: o.id, name: o.name }).collect(),
                })
                .collect(),
        }
    }
}
