//! The permissions there are.

/// What an operation demands of its caller.
pub trait Permit {
    /// The permission; none where being signed in is enough.
    const PERMISSION: Option<Permission>;
}

/// What everyone who is signed in may do: things of his own.
#[derive(Debug)]
pub struct Oneself;

impl Permit for Oneself {
    const PERMISSION: Option<Permission> = None;
}

macro_rules! permissions {
    ($($name:ident $codename:literal $title:literal: $description:literal;)*) => {
        /// Something a role can allow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission {
            $(#[doc = concat!("`", $codename, "`: ", $description)] $name,)*
        }

        impl Permission {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The permission of a code name.
            #[must_use]
            pub fn find(codename: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|permission| permission.codename() == codename)
            }

            /// How it is called on the wire and in the database.
            #[must_use]
            pub const fn codename(self) -> &'static str {
                match self { $(Self::$name => $codename,)* }
            }

            /// What it allows, in a few words for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The same in a sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)* }
            }
        }

        $(
            #[doc = concat!("Demands `", $codename, "`.")]
            #[derive(Debug)]
            pub struct $name;
            impl Permit for $name {
                const PERMISSION: Option<Permission> = Some(Permission::$name);
            }
        )*
    };
}

permissions! {
    ViewUser "view_user" "See people": "See the people of a folder: members of its groups, and whoever holds a role over it.";
    AddUser "add_user" "Add people": "Make accounts.";
    ChangeUser "change_user" "Change people": "Change people's accounts, and put people into groups whose rights one holds oneself.";
    DeleteUser "delete_user" "Delete people": "Delete people's accounts for good.";
    ViewUserGroup "view_user_group" "See groups": "See the groups in a folder.";
    AddUserGroup "add_user_group" "Make groups": "Make groups in a folder, and move others into it.";
    ChangeUserGroup "change_user_group" "Change groups": "Change the groups in a folder.";
    DeleteUserGroup "delete_user_group" "Delete groups": "Delete the groups in a folder, with the roles they were given.";
    ViewFolder "view_folder" "See folders": "See a folder, and the folders directly in it.";
    AddFolder "add_folder" "Make folders": "Make folders in a folder, and move others into it.";
    ChangeFolder "change_folder" "Change folders": "Rename and move the folders in a folder.";
    DeleteFolder "delete_folder" "Delete folders": "Delete the folders in a folder, with all that is in them.";
    ViewRole "view_role" "See roles": "See the roles in a folder, and what they allow.";
    AddRole "add_role" "Make roles": "Make roles in a folder, of rights that one holds oneself.";
    ChangeRole "change_role" "Change roles": "Change the roles in a folder; what is added to one, one holds oneself.";
    DeleteRole "delete_role" "Delete roles": "Delete the roles in a folder, with every assignment of them.";
    ViewRoleAssignment "view_role_assignment" "See role assignments": "See who was given which role, in a folder.";
    AddRoleAssignment "add_role_assignment" "Give roles": "Give people and groups roles over a folder, of rights that one holds oneself.";
    ChangeRoleAssignment "change_role_assignment" "Change role assignments": "Change who holds which role over a folder, within the rights that one holds oneself.";
    DeleteRoleAssignment "delete_role_assignment" "Take roles away": "Delete the role assignments in a folder.";
    ViewTeam "view_team" "See teams": "See the teams in a folder.";
    AddTeam "add_team" "Make teams": "Make teams in a folder, and move others into it.";
    ChangeTeam "change_team" "Change teams": "Change the teams in a folder, and who is in them.";
    DeleteTeam "delete_team" "Delete teams": "Delete the teams in a folder.";
    ViewInvitation "view_invitation" "See invitations": "See the invitations into a folder.";
    InviteUser "invite_user" "Invite people": "Invite people into a folder, to rights that one holds oneself; remind them, and take invitations back.";
    ViewEmail "view_email" "See mails": "See which mails were sent, and how their delivery stands.";
    RetryEmail "retry_email" "Send mails again": "Send a mail again that could not be delivered.";
    ViewEmailSuppression "view_email_suppression" "See suppressed addresses": "See which addresses are never mailed, in the whole organization.";
    AddEmailSuppression "add_email_suppression" "Suppress addresses": "Name addresses that are never mailed, in the whole organization.";
    DeleteEmailSuppression "delete_email_suppression" "Mail addresses again": "Let a suppressed address be mailed again, in the whole organization.";
    ViewAuditLog "view_audit_log" "Read the audit log": "See who did what, in the whole organization.";
    ManageSso "manage_sso" "Manage single sign-on": "Connect the organization to its identity provider.";
    ManageTokens "manage_tokens" "Manage tokens": "See and revoke other people's access tokens.";
    SetPassword "set_password" "Set passwords": "Choose a password for someone else.";
    ChangeOrganization "change_organization" "Change the organization": "Change the organization's name and settings.";
    ChangeUsage "change_usage" "Change usage": "Change what the organization may use, and how much of it.";
}

impl Permission {
    /// Whether it is about the organization as a whole: then it counts only where it is held over the root.
    #[must_use]
    pub const fn is_organization_wide(self) -> bool {
        matches!(
            self,
            Self::ViewEmailSuppression
                | Self::AddEmailSuppression
                | Self::DeleteEmailSuppression
                | Self::ViewAuditLog
                | Self::ManageSso
                | Self::ChangeOrganization
                | Self::ChangeUsage
        )
    }
}
