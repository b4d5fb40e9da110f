//! Tokens. A token is 256 random bits that a client shows with every call. The access file holds
//! its SHA-256 alone: a fast hash is right here, because nobody can try 2^256 texts; slow ones are
//! for passwords that people choose.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Prefix of each token, for scanners that look for lost secrets.
pub const PREFIX: &str = "leukd_";

/// The random part, in bytes.
const RANDOM: usize = 32;

/// The longest text that is looked at as a token, in bytes; a real one has 49.
pub const LONGEST: usize = 256;

/// A token's text. It is shown once, and neither logged nor stored.
pub struct Token(String);

impl Token {
    /// A new one, from the operating system's random numbers.
    ///
    /// # Errors
    /// The operating system gives none.
    pub fn new() -> std::io::Result<Self> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// The text, for the one who asked for it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its hash for the access file.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a token's text. Two are compared in constant time; there is no `==`.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of what a caller shows.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        text.parse::<crate::result::Digest>().ok().map(|digest| Self(digest.0))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        crate::result::Digest(self.0).to_string()
    }

    /// Compares in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_256_random_bits_and_never_twice_the_same() {
        let tokens: Vec<Token> = (0..100).map(|_| Token::new().unwrap()).collect();
        for (index, token) in tokens.iter().enumerate() {
            let random = token.reveal().strip_prefix(PREFIX).unwrap();
            assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), RANDOM);
            assert!(tokens[index + 1..].iter().all(|other| !other.hash().is(&token.hash())));
            assert!(TokenHash::of(token.reveal()).is(&token.hash()));
            assert!(TokenHash::from_hex(&token.hash().to_hex()).unwrap().is(&token.hash()));
            assert!(!format!("{token:?} {:?}", token.hash()).contains(random));
        }
    }
}
