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
    ($($name:ident $codename:literal;)*) => {
        /// Something a role can allow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission {
            $(#[doc = concat!("`", $codename, "`")] $name,)*
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
    ViewUser "view_user"; AddUser "add_user"; ChangeUser "change_user"; DeleteUser "delete_user";
    ViewUserGroup "view_user_group"; AddUserGroup "add_user_group"; ChangeUserGroup "change_user_group"; DeleteUserGroup "delete_user_group";
    ViewFolder "view_folder"; AddFolder "add_folder"; ChangeFolder "change_folder"; DeleteFolder "delete_folder";
    ViewRole "view_role"; AddRole "add_role"; ChangeRole "change_role"; DeleteRole "delete_role";
    ViewRoleAssignment "view_role_assignment"; AddRoleAssignment "add_role_assignment";
    ChangeRoleAssignment "change_role_assignment"; DeleteRoleAssignment "delete_role_assignment";
    ViewTeam "view_team"; AddTeam "add_team"; ChangeTeam "change_team"; DeleteTeam "delete_team";
    ViewInvitation "view_invitation"; InviteUser "invite_user";
    ViewEmail "view_email"; RetryEmail "retry_email";
    ViewEmailSuppression "view_email_suppression"; AddEmailSuppression "add_email_suppression";
    DeleteEmailSuppression "delete_email_suppression";
    ViewAuditLog "view_audit_log"; ManageSso "manage_sso"; ManageTokens "manage_tokens"; SetPassword "set_password";
    ChangeOrganization "change_organization"; ChangeUsage "change_usage";
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
