//! The connectors that come with the product.

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each connector, sorted by name.
        pub const SHIPPED: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../connectors/", $name, ".yaml")))),+
        ];
    };
}

shipped![
    "attio",
    "close",
    "dynamics",
    "freshdesk",
    "github",
    "http",
    "hubspot",
    "jira",
    "mailgun",
    "pipedrive",
    "postmark",
    "resend",
    "rt",
    "salesforce",
    "sendgrid",
    "servicenow",
    "slack",
    "smtp",
    "stripe",
    "teams",
    "twilio",
    "webhook",
    "zendesk",
    "zoho",
];
