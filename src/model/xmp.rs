//! XMP sidecars: a photo's facts in the form that exiftool, digiKam and Immich read. Pure.
//!
//! The names are those that most programs agree on: `exif` for time and place, `dc` for words,
//! `xmp:Rating` 5 for a favourite, and albums and keywords once as `digiKam:TagsList` (`Albums/Trip/Rome`),
//! once as `lr:hierarchicalSubject` (`Albums|Trip|Rome`). What has no common name stands under our own.

use jiff::Timestamp;
use jiff::tz::Offset;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesPI, BytesStart, BytesText, Event};

use crate::model::asset::Captured;
use crate::model::facts::{Picture, Spot};

/// The namespaces that a sidecar uses.
const NAMESPACES: [(&str, &str); 9] = [
    ("xmlns:rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("xmlns:xmp", "http://ns.adobe.com/xap/1.0/"),
    ("xmlns:dc", "http://purl.org/dc/elements/1.1/"),
    ("xmlns:exif", "http://ns.adobe.com/exif/1.0/"),
    ("xmlns:photoshop", "http://ns.adobe.com/photoshop/1.0/"),
    ("xmlns:digiKam", "http://www.digikam.org/ns/1.0/"),
    ("xmlns:lr", "http://ns.adobe.com/lightroom/1.0/"),
    ("xmlns:xmpMM", "http://ns.adobe.com/xap/1.0/mm/"),
    ("xmlns:rollbook", "urn:rollbook:1.0"),
];
/// What stands above the albums among the tags.
const ALBUMS: &str = "Albums";
/// The rating of a favourite.
const FAVORITE: &str = "5";

/// The suffix of a sidecar: `IMG_0001.HEIC.xmp`.
pub const SUFFIX: &str = ".xmp";

/// Writes the sidecar of a file. The same facts give the same bytes.
#[must_use]
pub fn sidecar(picture: &Picture) -> Vec<u8> {
    let mut page = Page(Writer::new_with_indent(Vec::new(), b' ', 1));
    page.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    page.event(Event::PI(BytesPI::new("xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"")));
    page.open("x:xmpmeta", &[("xmlns:x", "adobe:ns:meta/"), ("x:xmptk", "rollbook")]);
    page.open("rdf:RDF", &NAMESPACES[..1]);
    page.open("rdf:Description", &[&[("rdf:about", "")], &NAMESPACES[1..]].concat());
    page.picture(picture);
    page.close("rdf:Description");
    page.close("rdf:RDF");
    page.close("x:xmpmeta");
    page.event(Event::PI(BytesPI::new("xpacket end=\"w\"")));
    page.0.into_inner()
}

/// Whether bytes begin as a sidecar of ours does.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(400)];
    let mark = b"x:xmptk=\"rollbook\"";
    head.windows(mark.len()).any(|part| part == mark)
}

/// A page that is being written. Writing to memory cannot fail.
struct Page(Writer<Vec<u8>>);

impl Page {
    fn picture(&mut self, picture: &Picture) {
        let facts = &picture.facts;
        if let Some(time) = picture.captured.and_then(time) {
            for name in ["exif:DateTimeOriginal", "xmp:CreateDate", "photoshop:DateCreated"] {
                self.value(name, &time);
            }
        }
        if let Some(spot) = facts.spot {
            self.spot(spot);
        }
        if picture.favorite {
            self.value("xmp:Rating", FAVORITE);
        }
        for (name, text) in [("dc:title", &facts.title), ("dc:description", &facts.description)] {
            if let Some(text) = text {
                self.open(name, &[]);
                self.open("rdf:Alt", &[]);
                self.element("rdf:li", &[("xml:lang", "x-default")], text);
                self.close("rdf:Alt");
                self.close(name);
            }
        }
        self.list("dc:subject", "rdf:Bag", facts.keywords.iter().cloned());
        // A separator inside of a name would make two tags of one.
        let path = |names: &Vec<String>, separator: char| {
            let names = std::iter::once(ALBUMS).chain(names.iter().map(String::as_str));
            let clean = names.map(|name| name.replace(['/', '|'], "_"));
            clean.collect::<Vec<_>>().join(&separator.to_string())
        };
        let tags = |separator| {
            let albums = picture.albums.iter().map(move |names| path(names, separator));
            facts.keywords.iter().map(|word| word.replace(['/', '|'], "_")).chain(albums)
        };
        self.list("digiKam:TagsList", "rdf:Seq", tags('/'));
        self.list("lr:hierarchicalSubject", "rdf:Bag", tags('|'));
        self.value("xmpMM:PreservedFileName", &picture.filename);
        self.value("rollbook:Asset", &picture.asset);
        self.value("rollbook:Rendition", picture.rendition.as_str());
        self.value("rollbook:Edited", if facts.is_edited { "True" } else { "False" });
    }

    fn spot(&mut self, spot: Spot) {
        self.value("exif:GPSVersionID", "2.3.0.0");
        self.value("exif:GPSLatitude", &degrees(spot.latitude, ['N', 'S']));
        self.value("exif:GPSLongitude", &degrees(spot.longitude, ['E', 'W']));
        if let Some(metres) = spot.altitude {
            self.value("exif:GPSAltitudeRef", if metres < 0.0 { "1" } else { "0" });
            self.value("exif:GPSAltitude", &format!("{:.0}/1000", metres.abs() * 1000.0));
        }
    }

    fn list(&mut self, name: &str, kind: &str, items: impl Iterator<Item = String>) {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return;
        }
        self.open(name, &[]);
        self.open(kind, &[]);
        items.for_each(|item| self.element("rdf:li", &[], &item));
        self.close(kind);
        self.close(name);
    }

    fn value(&mut self, name: &str, text: &str) {
        self.element(name, &[], text);
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        // XML has no way to write these, not even escaped.
        let harmless: String = text.chars().filter(|c| !is_unwritable(*c)).collect();
        self.event(Event::Text(BytesText::new(&harmless)));
        self.close(name);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.event(Event::Start(start));
    }

    fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn event(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("memory takes every byte");
    }
}

fn is_unwritable(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}'))
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// `2024-05-18T01:30:00.000+02:00`: the camera's wall clock and its zone. `None` where no calendar reaches.
fn time(captured: Captured) -> Option<String> {
    let at = Timestamp::from_millisecond(captured.at_ms).ok()?;
    let offset = captured.offset_seconds.and_then(|seconds| Offset::from_seconds(seconds).ok());
    let offset = offset.unwrap_or(Offset::UTC);
    let local = offset.to_datetime(at);
    if local.year() < 1 {
        return None;
    }
    let minutes = offset.seconds() / 60;
    let (sign, minutes) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
    let clock = local.strftime("%Y-%m-%dT%H:%M:%S");
    let millis = captured.at_ms.rem_euclid(1000);
    Some(format!("{clock}.{millis:03}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// `48,51.503400N`: degrees, and minutes with six decimals, which is a hand's breadth.
fn degrees(value: f64, [positive, negative]: [char; 2]) -> String {
    let hemisphere = if value < 0.0 { negative } else { positive };
    // In whole millionths of a minute, so that 59.9999999 minutes become a degree and not `60`.
    let millionths = (value.abs() * 60.0 * 1e6).round() as u64;
    let (whole, rest) = (millionths / 60_000_000, millionths % 60_000_000);
    format!("{whole},{}.{:06}{hemisphere}", rest / 1_000_000, rest % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::Rendition;
    use crate::model::facts::Facts;

    #[test]
    fn a_sidecar_is_xml_whatever_the_names_hold() {
        let picture = Picture {
            rendition: Rendition::Original,
            asset: "A-1".to_owned(),
            filename: "a<b>&\"c\u{1}.jpg".to_owned(),
            captured: Some(Captured { at_ms: 1_715_988_600_250, offset_seconds: Some(7200) }),
            favorite: true,
            albums: vec![vec!["Trips | 2024".to_owned(), "R/ome".to_owned()]],
            facts: Facts {
                title: Some("</dc:title>".to_owned()),
                keywords: vec!["sea".to_owned()],
                spot: Spot::new(-33.856_8, 151.215_3, Some(-4.0)),
                ..Facts::default()
            },
        };
        let text = String::from_utf8(sidecar(&picture)).unwrap();
        for expected in [
            "<exif:DateTimeOriginal>2024-05-18T01:30:00.250+02:00</exif:DateTimeOriginal>",
            "<exif:GPSLatitude>33,51.408000S</exif:GPSLatitude>",
            "<exif:GPSAltitudeRef>1</exif:GPSAltitudeRef>",
            "<rdf:li>Albums|Trips _ 2024|R_ome</rdf:li>",
            "<rdf:li>Albums/Trips _ 2024/R_ome</rdf:li>",
            "<xmpMM:PreservedFileName>a&lt;b&gt;&amp;&quot;c.jpg</xmpMM:PreservedFileName>",
            "&lt;/dc:title&gt;",
            "<xmp:Rating>5</xmp:Rating>",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        let mut reader = quick_xml::Reader::from_str(&text);
        while !matches!(reader.read_event().unwrap(), Event::Eof) {}
    }

    #[test]
    fn minutes_never_reach_sixty_and_nowhere_is_no_place() {
        assert_eq!(degrees(9.999_999_999_9, ['N', 'S']), "10,0.000000N");
        assert_eq!(Spot::new(-180.0, -180.0, None), None);
        assert_eq!(time(Captured { at_ms: i64::MIN, offset_seconds: None }), None);
        let early = Captured { at_ms: -1, offset_seconds: Some(-12_600) };
        assert_eq!(time(early).as_deref(), Some("1969-12-31T20:29:59.999-03:30"));
    }
}
