//! What the people of a class see on their own devices: the page `/class`, and on every page a banner while
//! the class is asked something. Both are in the bundle of the shop, which a phone has loaded already, so
//! they are small: the server words the questions.
//!
//! | module | content |
//! |---|---|
//! | `round` | a question as a page follows it, for the pages of the educator too |
//! | `phone` | the question with its answers, the result, and what else a person of the class has |
//! | `banner` | the way to the question, and "everybody order now" |

mod banner;
mod phone;
mod round;

pub(crate) use banner::ClassBanner;
pub(crate) use phone::ClassPhone;
pub(crate) use round::{InitialRound, Round, followed_class};
