//! Credentials without a prefix of their own: found by structure or by the words beside them.

use super::beside::{Beside, WORDS, value_beside};
use super::structure::{
    authorization, azure_key, azure_signature, connection_string, jwt, private_key, putty_key,
    telegram, terraform,
};
use super::{Definition, Detector, Example, Find};

pub(super) const TABLE: &[Definition] = &[
    Definition {
        detector: Detector::AuthorizationHeader,
        description: "credential of an Authorization header: Bearer with what looks random, Basic with user and password",
        examples: &[
            Example {
                text: "Authorization: Bearer 0aF9-EXAMPLE-example-42",
                secret: "0aF9-EXAMPLE-example-42",
            },
            Example {
                text: "authorization: basic YWRhOmxvdmVsYWNl",
                secret: "YWRhOmxvdmVsYWNl",
            },
        ],
        counter_examples: &[
            "the bearer of this letter",
            "basic authentication",
            "Bearer token-required",
        ],
        find: Find::Words {
            words: &["bearer ", "basic "],
            check: authorization,
        },
    },
    Definition {
        detector: Detector::AwsSecretKey,
        description: "secret access key of AWS beside its name",
        examples: &[Example {
            text: "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        }],
        counter_examples: &[
            "set aws_secret_access_key in the environment",
            "SecretAccessKey: <yours>",
        ],
        find: Find::Words {
            words: &[
                "secret_access_key",
                "secretaccesskey",
                "secret-access-key",
                "aws_secret_key",
            ],
            check: |text, lead| value_beside(text, &lead, |beside| beside == Beside::AwsSecretKey),
        },
    },
    Definition {
        detector: Detector::AzureSasToken,
        description: "signature of a shared access signature in an Azure URL",
        examples: &[Example {
            text: "https://x.blob.core.windows.net/a?sp=r&sig=EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0%3D",
            secret: "EXAMPLEexampleEXAMPLEexampleEXAMPLEexample0%3D",
        }],
        counter_examples: &["?sig=short", "kill(sig=9)"],
        find: Find::Words {
            words: &["sig="],
            check: azure_signature,
        },
    },
    Definition {
        detector: Detector::AzureStorageKey,
        description: "account key or shared access key in an Azure connection string",
        examples: &[Example {
            text: "AccountName=a;AccountKey=EXAMPLEexampleEXAMPLEexampleEXAMPLEexample==;EndpointSuffix=b",
            secret: "EXAMPLEexampleEXAMPLEexampleEXAMPLEexample==",
        }],
        counter_examples: &["AccountKey=;", "AccountKey=<key>"],
        find: Find::Words {
            words: &["accountkey=", "sharedaccesskey="],
            check: azure_key,
        },
    },
    Definition {
        detector: Detector::ConnectionString,
        description: "password in the user part of a URL or connection string",
        examples: &[
            Example {
                text: "postgres://app:s3cr3t@db:5432/shop",
                secret: "s3cr3t",
            },
            Example {
                text: "redis://:p@ss/word@cache/0",
                secret: "p@ss/word",
            },
        ],
        counter_examples: &[
            "https://example.com/a@b",
            "postgres://app@db/shop",
            "postgres://app:${PASSWORD}@db/shop",
            "http://localhost:8080/x",
        ],
        find: Find::Words {
            words: &["://"],
            check: connection_string,
        },
    },
    Definition {
        detector: Detector::Jwt,
        description: "JSON Web Token, signed or encrypted",
        examples: &[Example {
            text: "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.EXAMPLEexample0 end",
            secret: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.EXAMPLEexample0",
        }],
        counter_examples: &[
            "eyJhbGciOiJIUzI1NiJ9",
            "eyJ.a.b",
            "eyJ0ZXN0IjoxfQ.eyJhIjoxfQ.x",
        ],
        find: Find::Words {
            words: &["eyJ"],
            check: jwt,
        },
    },
    Definition {
        detector: Detector::PasswordBeside,
        description: "value beside a word such as password, secret, token or api key: in JSON members, assignments, flags, tables",
        examples: &[
            Example {
                text: "DB_PASSWORD=hunter2!",
                secret: "hunter2!",
            },
            Example {
                text: "{\"api_key\": \"9fK2-bb71-QzA0\"",
                secret: "9fK2-bb71-QzA0",
            },
            Example {
                text: "mysql --password tr0ub4dor -h db",
                secret: "tr0ub4dor",
            },
        ],
        counter_examples: &[
            "the password is wrong",
            "password: required",
            "token_type=bearer",
            "max_tokens: 4096",
            "secretName: shop-db-credentials",
            "PASSWORD=${DB_PASSWORD}",
            "password: ********",
        ],
        find: Find::Words {
            words: WORDS,
            check: |text, lead| {
                value_beside(text, &lead, |beside| {
                    matches!(beside, Beside::Password | Beside::Secret)
                })
            },
        },
    },
    Definition {
        detector: Detector::PrivateKey,
        description: "private key in PEM, OpenSSH, PGP or PuTTY form, whole or cut off",
        examples: &[
            Example {
                text: "-----BEGIN RSA PRIVATE KEY-----\nMIIEXAMPLE\n-----END RSA PRIVATE KEY-----\nbye",
                secret: "-----BEGIN RSA PRIVATE KEY-----\nMIIEXAMPLE\n-----END RSA PRIVATE KEY-----",
            },
            Example {
                text: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE",
                secret: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE",
            },
        ],
        counter_examples: &["-----BEGIN CERTIFICATE-----\nMIIEXAMPLE\n-----END CERTIFICATE-----"],
        find: Find::Words {
            words: &["-----BEGIN ", "Private-Lines: "],
            check: |text, lead| match text.as_bytes().get(lead.start) {
                Some(b'-') => private_key(text, lead),
                _ => putty_key(text, lead),
            },
        },
    },
    Definition {
        detector: Detector::TelegramToken,
        description: "token of a Telegram bot",
        examples: &[Example {
            text: "bot0000000000:AAEXAMPLEexampleEXAMPLEexampleEXAMPL",
            secret: "0000000000:AAEXAMPLEexampleEXAMPLEexampleEXAMPL",
        }],
        counter_examples: &["12:AA", "grade:AAA"],
        find: Find::Words {
            words: &[":AA"],
            check: telegram,
        },
    },
    Definition {
        detector: Detector::TerraformToken,
        description: "API token of Terraform Cloud",
        examples: &[Example {
            text: "EXAMPLEexample.atlasv1.EXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEXAMPLEexample",
            secret: "EXAMPLEexample.atlasv1.EXAMPLEexampleEXAMPLEexampleEXAMPLEexampleEXAMPLEexample",
        }],
        counter_examples: &["x.atlasv1.y"],
        find: Find::Words {
            words: &[".atlasv1."],
            check: terraform,
        },
    },
];
