//! Facts: what iCloud knows of a photo that its bytes do not say, or not any more.

use crate::model::asset::{Captured, Rendition};

/// What the kept record of an asset says about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The title that a person gave it.
    pub title: Option<String>,
    /// The caption, or description.
    pub description: Option<String>,
    /// Keywords, in their order.
    pub keywords: Vec<String>,
    /// Where it was taken.
    pub spot: Option<Spot>,
    /// Whether it was edited in Photos.
    pub is_edited: bool,
}

/// A place on earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres above the sea.
    pub altitude: Option<f64>,
}

impl Spot {
    /// A place, if the numbers are one. Apple writes -180 for both where it knows nothing.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64, altitude: Option<f64>) -> Option<Self> {
        let is_place = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        is_place.then_some(Self {
            latitude,
            longitude,
            altitude: altitude.filter(|metres| metres.is_finite()),
        })
    }
}

/// Everything that a sidecar says about one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Which file of its asset it is.
    pub rendition: Rendition,
    /// The asset's record name in iCloud.
    pub asset: String,
    /// The name that the person knows it by.
    pub filename: String,
    /// When it was taken.
    pub captured: Option<Captured>,
    /// Marked as a favourite.
    pub favorite: bool,
    /// The albums it lies in: the names of their folders, and then their own.
    pub albums: Vec<Vec<String>>,
    /// What the kept record says.
    pub facts: Facts,
}
