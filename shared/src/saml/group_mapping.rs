//! Groups that are the directory's: whoever signs in joins those that his groups there map to, and leaves the other mapped ones.

use uuid::Uuid;

use crate::access;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{OrganizationId, SamlConnectionId, UserId};
use crate::user_groups;

/// What is to be done so that someone is where the directory says.
#[derive(Debug, Default)]
pub(super) struct Moves {
    join: Vec<Uuid>,
    leave: Vec<Uuid>,
}

impl Moves {
    pub(super) fn are_none(&self) -> bool {
        self.join.is_empty() && self.leave.is_empty()
    }
}

/// Compares the groups of an assertion with those that he is in.
pub(super) async fn moves(
    tx: &mut Tx,
    connection: SamlConnectionId,
    user: UserId,
    directory_groups: &[String],
) -> Result<Moves> {
    let rows = sqlx::query!(
        r#"select g.user_group_id as "user_group_id!", m.user_id is not null as "is_in!"
           from (select user_group_id, bool_or(directory_group = any($4)) as is_said from saml_group_mappings
                 where organization_id = $1 and connection_id = $2 group by user_group_id) g
           left join user_group_members m
               on m.organization_id = $1 and m.user_group_id = g.user_group_id and m.user_id = $3
           where g.is_said <> (m.user_id is not null) order by 1"#,
        tx.organization_id() as OrganizationId,
        connection as SamlConnectionId,
        user as UserId,
        directory_groups
    )
    .fetch_all(tx.connection())
    .await?;
    let (leave, join): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.is_in);
    let ids = |rows: Vec<_>, id: fn(_) -> Uuid| rows.into_iter().map(id).collect();
    Ok(Moves { join: ids(join, |row| row.user_group_id), leave: ids(leave, |row| row.user_group_id) })
}

/// What was done, for the audit log.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Moved {
    pub(super) joined: Vec<Uuid>,
    pub(super) left: Vec<Uuid>,
    /// Groups that he stays in whatever the directory says: without him there the organization would have no administrator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) kept: Vec<Uuid>,
}

/// Does it. Under the lock of the organization's rights.
pub(super) async fn apply(tx: &mut Tx, user: UserId, moves: Moves) -> Result<Moved> {
    user_groups::add_member(tx, user, &moves.join).await?;
    let mut moved = Moved { joined: moves.join, ..Moved::default() };
    for group in moves.leave {
        tx.savepoint().await?;
        let was_led = access::has_administrator(tx).await?;
        user_groups::remove_member(tx, user, group).await?;
        let may_leave = !was_led || access::has_administrator(tx).await?;
        tx.end_savepoint(may_leave).await?;
        if may_leave { moved.left.push(group) } else { moved.kept.push(group) }
    }
    sqlx::query!(
        "update users set version = version + 1, updated_at = $3 where organization_id = $1 and id = $2",
        tx.organization_id() as OrganizationId,
        user as UserId,
        tx.now()
    )
    .execute(tx.connection())
    .await?;
    Ok(moved)
}
