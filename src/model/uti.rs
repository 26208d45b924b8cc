//! Uniform type identifiers: Apple's names for kinds of files.

/// Identifier, file extension, and whether it is a movie.
const KNOWN: [(&str, &str, bool); 24] = [
    ("public.jpeg", "JPG", false),
    ("public.heic", "HEIC", false),
    ("public.heif", "HEIF", false),
    ("public.png", "PNG", false),
    ("public.tiff", "TIFF", false),
    ("com.compuserve.gif", "GIF", false),
    ("org.webmproject.webp", "WEBP", false),
    ("com.adobe.raw-image", "DNG", false),
    ("com.canon.cr2-raw-image", "CR2", false),
    ("com.canon.cr3-raw-image", "CR3", false),
    ("com.canon.crw-raw-image", "CRW", false),
    ("com.sony.arw-raw-image", "ARW", false),
    ("com.fuji.raw-image", "RAF", false),
    ("com.panasonic.rw2-raw-image", "RW2", false),
    ("com.nikon.raw-image", "NEF", false),
    ("com.nikon.nrw-raw-image", "NRW", false),
    ("com.pentax.raw-image", "PEF", false),
    ("com.olympus.raw-image", "ORF", false),
    ("com.olympus.or-raw-image", "ORF", false),
    ("com.apple.quicktime-movie", "MOV", true),
    ("public.mpeg-4", "MP4", true),
    ("com.apple.m4v-video", "M4V", true),
    ("public.avi", "AVI", true),
    ("public.3gpp", "3GP", true),
];

/// The usual extension of a file of this type, without the dot; `None` for a type we do not know.
#[must_use]
pub fn extension(uti: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, ..)| *known == uti).map(|(_, extension, _)| *extension)
}

/// Whether files of this type are movies; `None` for a type we do not know.
#[must_use]
pub fn is_movie(uti: &str) -> Option<bool> {
    KNOWN.iter().find(|(known, ..)| *known == uti).map(|(.., movie)| *movie)
}

/// Whether files of this type are what a sensor saw, before a picture was made of it.
#[must_use]
pub fn is_raw(uti: &str) -> bool {
    uti.contains("raw-image") || uti == "com.adobe.dng"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_have_an_extension_and_unknown_ones_have_no_opinion() {
        assert_eq!((extension("public.heic"), is_movie("public.heic")), (Some("HEIC"), Some(false)));
        assert_eq!(is_movie("com.apple.quicktime-movie"), Some(true));
        assert_eq!((extension("org.example.new"), is_movie("")), (None, None));
    }
}
