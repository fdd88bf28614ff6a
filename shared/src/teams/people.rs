//! Who is in a team. Whoever changes it sees some of its people, and leaves those he does not see where they are.

use uuid::Uuid;

use super::{Team, TeamPatch};
use crate::access::Caller;
use crate::db::Tx;
use crate::error::{Check, Refusal, Result};
use crate::ids::{OrganizationId, TeamId};
use crate::objects::{self, Edit, Kind, Names, Object as _, Wanted, resolve};

/// How many deputies, and how many members, a team has at most.
const MAX_PEOPLE: usize = 1_000;

/// The deputies or the members.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Deputy,
    Member,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Deputy => "deputy",
            Self::Member => "member",
        }
    }
}

/// Who is who in a team.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) leader: Option<Uuid>,
    deputies: Vec<Uuid>,
    members: Vec<Uuid>,
}

/// Refuses lists that are too long by themselves.
pub(super) fn check_lists(check: &mut Check, patch: &TeamPatch) {
    for (field, list) in [("deputies", &patch.deputies), ("members", &patch.members)] {
        let good = list.as_ref().is_none_or(|edit| edit.named().len() <= MAX_PEOPLE);
        check.that(good, field, "too_many", "At most 1000 people.");
    }
}

impl People {
    /// Who will be who, if the caller sees whom he names.
    pub(super) async fn after(tx: &mut Tx, caller: &Caller, old: Option<&Team>, patch: &TeamPatch) -> Result<Self> {
        objects::check_seen(tx, caller, Kind::User, "leader", patch.leader.flatten()).await?;
        for (field, list) in [("deputies", &patch.deputies), ("members", &patch.members)] {
            let named = list.iter().flat_map(Edit::named).copied();
            objects::check_seen(tx, caller, Kind::User, field, named).await?;
        }
        let mut wanted = Wanted::default();
        if let Some(old) = old {
            old.want(&mut wanted);
        }
        let seen = resolve(tx, caller, wanted).await?;
        let leader = old.and_then(|team| team.leader_id);
        let (deputies, members) =
            old.map_or_else(Default::default, |team| (team.deputies.as_slice(), team.members.as_slice()));
        Ok(Self {
            leader: match patch.leader {
                None => leader,
                Some(None) if patch.is_replacement => leader.filter(|leader| seen.get(Kind::User, *leader).is_none()),
                Some(named) => named,
            },
            deputies: edited(deputies, patch.deputies.as_ref(), &seen)?,
            members: edited(members, patch.members.as_ref(), &seen)?,
        })
    }

    /// Writes down who will be who, beside the leader.
    pub(super) async fn store(&self, tx: &mut Tx, team: TeamId) -> Result<()> {
        for (part, people) in [(Part::Deputy, &self.deputies), (Part::Member, &self.members)] {
            sqlx::query!(
                "delete from team_people
                 where organization_id = $1 and team_id = $2 and part = $3 and user_id <> all($4)",
                tx.organization_id() as OrganizationId,
                team as TeamId,
                part.name(),
                people
            )
            .execute(tx.connection())
            .await?;
            sqlx::query!(
                "insert into team_people (organization_id, team_id, part, user_id)
                 select $1, $2, $3, unnest($4::uuid[]) on conflict do nothing",
                tx.organization_id() as OrganizationId,
                team as TeamId,
                part.name(),
                people
            )
            .execute(tx.connection())
            .await?;
        }
        Ok(())
    }
}

fn edited(present: &[Uuid], edit: Option<&Edit<Uuid>>, seen: &Names) -> Result<Vec<Uuid>> {
    let Some(edit) = edit else { return Ok(present.to_vec()) };
    let after = edit.apply_to_seen(present, |user| seen.get(Kind::User, *user).is_some());
    if after.len() > MAX_PEOPLE && after.len() > present.len() {
        return Err(Refusal::conflict("team_full", "A team has at most 1000 deputies and 1000 members.").into());
    }
    Ok(after)
}
