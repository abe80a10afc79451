//! Credentials that carry a prefix of their issuer: the prefix leads, the body decides.

use super::chars::Body;
use super::{Definition, Detector, Example, Find, Token};

const fn token(prefix: &'static str, body: Body, least: usize) -> Token {
    Token {
        prefix,
        body,
        least,
        bounded: false,
    }
}

/// For prefixes so short that they also stand inside ordinary words.
const fn word(prefix: &'static str, body: Body, least: usize) -> Token {
    Token {
        prefix,
        body,
        least,
        bounded: true,
    }
}

pub(super) const TABLE: &[Definition] = &[
    Definition {
        detector: Detector::AgeKey,
        description: "secret key of the age encryption tool",
        examples: &[Example {
            text: "key: AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
            secret: "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
        }],
        counter_examples: &["AGE-SECRET-KEY-1 is the prefix of such keys"],
        find: Find::Tokens(&[token("AGE-SECRET-KEY-1", Body::UpperDigit, 50)]),
    },
    Definition {
        detector: Detector::AnthropicKey,
        description: "API key of Anthropic",
        examples: &[Example {
            text: "use sk-ant-api03-EXAMPLEexampleEXAMPLE now",
            secret: "sk-ant-api03-EXAMPLEexampleEXAMPLE",
        }],
        counter_examples: &["keys begin with sk-ant-"],
        find: Find::Tokens(&[token("sk-ant-", Body::AlnumDash, 20)]),
    },
    Definition {
        detector: Detector::AtlassianToken,
        description: "API token of Atlassian Cloud",
        examples: &[Example {
            text: "ATATT3xFfGF0EXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEXAMPLE",
            secret: "ATATT3xFfGF0EXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEXAMPLE",
        }],
        counter_examples: &["ATATT3 and ATCTT3 are prefixes"],
        find: Find::Tokens(&[
            token("ATATT3", Body::AlnumDash, 40),
            token("ATCTT3", Body::AlnumDash, 40),
        ]),
    },
    Definition {
        detector: Detector::AwsAccessKey,
        description: "access key id of AWS, long-lived (AKIA) or temporary (ASIA)",
        examples: &[
            Example {
                text: "id=AKIAIOSFODNN7EXAMPLE;",
                secret: "AKIAIOSFODNN7EXAMPLE",
            },
            Example {
                text: "ASIAIOSFODNN7EXAMPLE",
                secret: "ASIAIOSFODNN7EXAMPLE",
            },
        ],
        counter_examples: &["AKIA", "AKIA-1234", "Nakia went to ASIA in summer"],
        find: Find::Tokens(&[
            token("AKIA", Body::UpperDigit, 16),
            token("ASIA", Body::UpperDigit, 16),
            token("ABIA", Body::UpperDigit, 16),
            token("ACCA", Body::UpperDigit, 16),
        ]),
    },
    Definition {
        detector: Detector::DatabricksToken,
        description: "personal access token of Databricks",
        examples: &[Example {
            text: "dapi00000000000000000000000000000000",
            secret: "dapi00000000000000000000000000000000",
        }],
        counter_examples: &["dapi1234", "adapi00000000000000000000000000000000"],
        find: Find::Tokens(&[word("dapi", Body::Hex, 32)]),
    },
    Definition {
        detector: Detector::DigitalOceanToken,
        description: "personal, OAuth or refresh token of DigitalOcean",
        examples: &[Example {
            text: "dop_v1_0000000000000000000000000000000000000000000000000000000000000000",
            secret: "dop_v1_0000000000000000000000000000000000000000000000000000000000000000",
        }],
        counter_examples: &["dop_v1_short"],
        find: Find::Tokens(&[
            token("dop_v1_", Body::Hex, 60),
            token("doo_v1_", Body::Hex, 60),
            token("dor_v1_", Body::Hex, 60),
        ]),
    },
    Definition {
        detector: Detector::DockerToken,
        description: "access token of Docker Hub",
        examples: &[Example {
            text: "docker login -p dckr_pat_EXAMPLEexampleEXAMPLE12",
            secret: "dckr_pat_EXAMPLEexampleEXAMPLE12",
        }],
        counter_examples: &["dckr_pat_"],
        find: Find::Tokens(&[
            token("dckr_pat_", Body::AlnumDash, 20),
            token("dckr_oat_", Body::AlnumDash, 20),
        ]),
    },
    Definition {
        detector: Detector::GithubToken,
        description: "token of GitHub: personal, fine-grained, OAuth, app or refresh",
        examples: &[
            Example {
                text: "git clone https://ghp_EXAMPLEexampleEXAMPLEexampleEXAMPLE1@host/x",
                secret: "ghp_EXAMPLEexampleEXAMPLEexampleEXAMPLE1",
            },
            Example {
                text: "github_pat_00EXAMPLE0EXAMPLE_EXAMPLEexampleEXAMPLEexampleEXAMPLE",
                secret: "github_pat_00EXAMPLE0EXAMPLE_EXAMPLEexampleEXAMPLEexampleEXAMPLE",
            },
        ],
        counter_examples: &[
            "ghp_short",
            "the prefix github_pat_ marks a fine-grained one",
        ],
        find: Find::Tokens(&[
            token("ghp_", Body::Alnum, 30),
            token("gho_", Body::Alnum, 30),
            token("ghu_", Body::Alnum, 30),
            token("ghs_", Body::AlnumDashDot, 30),
            token("ghr_", Body::Alnum, 30),
            token("github_pat_", Body::AlnumDash, 30),
        ]),
    },
    Definition {
        detector: Detector::GitlabToken,
        description: "token of GitLab: personal, deploy, runner, trigger, feed, agent",
        examples: &[Example {
            text: "PRIVATE-TOKEN glpat-EXAMPLEexampleEXAMPL",
            secret: "glpat-EXAMPLEexampleEXAMPL",
        }],
        counter_examples: &["glpat-"],
        find: Find::Tokens(&[
            token("glpat-", Body::AlnumDashDot, 20),
            token("gldt-", Body::AlnumDash, 20),
            token("glrt-", Body::AlnumDashDot, 20),
            token("glptt-", Body::AlnumDash, 20),
            token("glft-", Body::AlnumDash, 20),
            token("glsoat-", Body::AlnumDash, 20),
            token("glagent-", Body::AlnumDash, 20),
            token("gloas-", Body::AlnumDash, 20),
            token("glcbt-", Body::AlnumDash, 20),
        ]),
    },
    Definition {
        detector: Detector::GoogleApiKey,
        description: "API key of Google Cloud",
        examples: &[Example {
            text: "?key=AIzaEXAMPLEexampleEXAMPLEexampleEXAMPLE&q=1",
            secret: "AIzaEXAMPLEexampleEXAMPLEexampleEXAMPLE",
        }],
        counter_examples: &["AIza is how they begin"],
        find: Find::Tokens(&[token("AIza", Body::AlnumDash, 35)]),
    },
    Definition {
        detector: Detector::GoogleOauthToken,
        description: "OAuth access token, refresh token or client secret of Google",
        examples: &[
            Example {
                text: "ya29.EXAMPLEexampleEXAMPLEexample",
                secret: "ya29.EXAMPLEexampleEXAMPLEexample",
            },
            Example {
                text: "GOCSPX-EXAMPLEexampleEXAMPLEexample",
                secret: "GOCSPX-EXAMPLEexampleEXAMPLEexample",
            },
        ],
        counter_examples: &["ya29.", "GOCSPX-"],
        find: Find::Tokens(&[
            token("ya29.", Body::AlnumDashDot, 20),
            token("GOCSPX-", Body::AlnumDash, 20),
            word("1//0", Body::AlnumDash, 30),
        ]),
    },
    Definition {
        detector: Detector::GrafanaToken,
        description: "service account or cloud token of Grafana",
        examples: &[Example {
            text: "glsa_EXAMPLEexampleEXAMPLEexampleEXAM_00000000",
            secret: "glsa_EXAMPLEexampleEXAMPLEexampleEXAM_00000000",
        }],
        counter_examples: &["glsa_x"],
        find: Find::Tokens(&[
            token("glsa_", Body::AlnumDash, 30),
            token("glc_", Body::Base64, 32),
        ]),
    },
    Definition {
        detector: Detector::HuggingFaceToken,
        description: "access token of Hugging Face",
        examples: &[Example {
            text: "hf_EXAMPLEexampleEXAMPLEexampleEXAMPL",
            secret: "hf_EXAMPLEexampleEXAMPLEexampleEXAMPL",
        }],
        counter_examples: &[
            "hf_hub_download",
            "shelf_EXAMPLEexampleEXAMPLEexampleEXAMPL",
        ],
        find: Find::Tokens(&[word("hf_", Body::Alnum, 30)]),
    },
    Definition {
        detector: Detector::MailgunKey,
        description: "API key of Mailgun",
        examples: &[Example {
            text: "api:key-00000000000000000000000000000000",
            secret: "key-00000000000000000000000000000000",
        }],
        counter_examples: &["key-value", "monkey-00000000000000000000000000000000"],
        find: Find::Tokens(&[word("key-", Body::Hex, 32)]),
    },
    Definition {
        detector: Detector::NpmToken,
        description: "access token of the npm registry",
        examples: &[Example {
            text: "//registry/:_auth npm_EXAMPLEexampleEXAMPLEexampleEXAMPLE1",
            secret: "npm_EXAMPLEexampleEXAMPLEexampleEXAMPLE1",
        }],
        counter_examples: &["npm_config_cache", "npm_lifecycle_event"],
        find: Find::Tokens(&[token("npm_", Body::Alnum, 36)]),
    },
    Definition {
        detector: Detector::OpenAiKey,
        description: "API key of OpenAI",
        examples: &[
            Example {
                text: "sk-proj-EXAMPLEexampleEXAMPLE_example",
                secret: "sk-proj-EXAMPLEexampleEXAMPLE_example",
            },
            Example {
                text: "key sk-EXAMPLEexampleEXAMPLEexampleEXAMPLEexample00",
                secret: "sk-EXAMPLEexampleEXAMPLEexampleEXAMPLEexample00",
            },
        ],
        counter_examples: &[
            "sk-proj-",
            "task-EXAMPLEexampleEXAMPLEexampleEXAMPLEexample00",
        ],
        find: Find::Tokens(&[
            token("sk-proj-", Body::AlnumDash, 20),
            token("sk-svcacct-", Body::AlnumDash, 20),
            token("sk-admin-", Body::AlnumDash, 20),
            word("sk-", Body::Alnum, 32),
        ]),
    },
    Definition {
        detector: Detector::PypiToken,
        description: "upload token of PyPI",
        examples: &[Example {
            text: "pypi-AgEIEXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEXAMPLEexample",
            secret: "pypi-AgEIEXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEXAMPLEexample",
        }],
        counter_examples: &["pypi-server", "pypi-AgEI"],
        find: Find::Tokens(&[token("pypi-", Body::AlnumDash, 50)]),
    },
    Definition {
        detector: Detector::SendgridKey,
        description: "API key of SendGrid",
        examples: &[Example {
            text: "SG.EXAMPLEexampleEXAMPLE0.EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0",
            secret: "SG.EXAMPLEexampleEXAMPLE0.EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0",
        }],
        counter_examples: &["SG.example.com", "MSG.EXAMPLEexampleEXAMPLE0.x"],
        find: Find::Tokens(&[word("SG.", Body::AlnumDashDot, 50)]),
    },
    Definition {
        detector: Detector::ShopifyToken,
        description: "access token or shared secret of a Shopify app",
        examples: &[Example {
            text: "shpat_00000000000000000000000000000000",
            secret: "shpat_00000000000000000000000000000000",
        }],
        counter_examples: &["shpat_x"],
        find: Find::Tokens(&[
            token("shpat_", Body::Hex, 32),
            token("shpca_", Body::Hex, 32),
            token("shppa_", Body::Hex, 32),
            token("shpss_", Body::Hex, 32),
        ]),
    },
    Definition {
        detector: Detector::SlackToken,
        description: "token of Slack: bot, user, app, refresh, browser",
        examples: &[Example {
            text: "xoxb-000000000000-EXAMPLEexample",
            secret: "xoxb-000000000000-EXAMPLEexample",
        }],
        counter_examples: &["xoxb- is the bot prefix", "xoxo-hugs"],
        find: Find::Tokens(&[
            token("xoxb-", Body::AlnumDash, 16),
            token("xoxp-", Body::AlnumDash, 16),
            token("xoxa-", Body::AlnumDash, 16),
            token("xoxr-", Body::AlnumDash, 16),
            token("xoxs-", Body::AlnumDash, 16),
            token("xoxc-", Body::AlnumDash, 16),
            token("xoxd-", Body::Base64Percent, 16),
            token("xoxe-", Body::AlnumDash, 16),
            token("xoxe.", Body::AlnumDash, 16),
            token("xapp-", Body::AlnumDash, 16),
        ]),
    },
    Definition {
        detector: Detector::StripeKey,
        description: "secret, restricted or webhook key of Stripe",
        examples: &[Example {
            text: "sk_test_EXAMPLEexample00",
            secret: "sk_test_EXAMPLEexample00",
        }],
        counter_examples: &["pk_test_EXAMPLEexample00", "sk_test_"],
        find: Find::Tokens(&[
            token("sk_live_", Body::Alnum, 16),
            token("sk_test_", Body::Alnum, 16),
            token("rk_live_", Body::Alnum, 16),
            token("rk_test_", Body::Alnum, 16),
            token("whsec_", Body::Base64, 24),
        ]),
    },
    Definition {
        detector: Detector::TwilioKey,
        description: "API key of Twilio",
        examples: &[Example {
            text: "SK00000000000000000000000000000000",
            secret: "SK00000000000000000000000000000000",
        }],
        counter_examples: &["SK1234", "AC00000000000000000000000000000000"],
        find: Find::Tokens(&[word("SK", Body::Hex, 32)]),
    },
    Definition {
        detector: Detector::VaultToken,
        description: "service, batch or recovery token of HashiCorp Vault",
        examples: &[Example {
            text: "VAULT hvs.EXAMPLEexampleEXAMPLEexample",
            secret: "hvs.EXAMPLEexampleEXAMPLEexample",
        }],
        counter_examples: &["hvs.example"],
        find: Find::Tokens(&[
            token("hvs.", Body::AlnumDash, 24),
            token("hvb.", Body::AlnumDash, 24),
            token("hvr.", Body::AlnumDash, 24),
        ]),
    },
    Definition {
        detector: Detector::WebhookUrl,
        description: "address of an incoming webhook of Slack, Discord or Teams, which is itself the credential",
        examples: &[Example {
            text: "POST https://hooks.slack.com/services/T00000000/B00000000/EXAMPLEexample",
            secret: "hooks.slack.com/services/T00000000/B00000000/EXAMPLEexample",
        }],
        counter_examples: &[
            "https://hooks.slack.com/services/",
            "https://slack.com/help",
        ],
        find: Find::Tokens(&[
            token("hooks.slack.com/services/", Body::Path, 20),
            token("hooks.slack.com/workflows/", Body::Path, 20),
            token("discord.com/api/webhooks/", Body::Path, 30),
            token("discordapp.com/api/webhooks/", Body::Path, 30),
            token("webhook.office.com/webhookb2/", Body::Path, 30),
        ]),
    },
];
