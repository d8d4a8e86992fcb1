//! The text of a PDF: what its pages draw, letter by letter, put into lines by where it stands.

use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, TransformExt, interpret_page,
};

use crate::layout::{Letter, Sheet};
use crate::pages::UNKNOWN;
use crate::{Limits, Unread};

/// Units of a glyph's own space to the height of its font.
const EM: f64 = 1000.0;

/// The text of each page.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<String>, Unread> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(|e| match e {
        LoadPdfError::Decryption(
            DecryptionError::PasswordProtected | DecryptionError::UnsupportedAlgorithm,
        ) => Unread::Encrypted,
        LoadPdfError::Decryption(_) => Unread::broken("its encryption cannot be read"),
        LoadPdfError::Invalid => Unread::broken("its objects cannot be read"),
    })?;
    let pages = pdf.pages();
    let (count, most) = (pages.len(), limits.max_pages);
    match count {
        0 => return Err(Unread::broken("it has no pages")),
        count if count > most => return Err(Unread::TooManyPages { pages: count, most }),
        _ => {}
    }
    let cache = InterpreterCache::new();
    let mut out = Vec::with_capacity(count);
    for page in pages.iter() {
        let (width, height) = page.render_dimensions();
        let mut drawn = Drawn::default();
        let mut context = Context::new(
            page.initial_transform(true).to_kurbo(),
            Rect::new(0.0, 0.0, width.into(), height.into()),
            &cache,
            pdf.xref(),
            InterpreterSettings::default(),
        );
        interpret_page(page, &mut context, &mut drawn);
        out.push(drawn.text());
    }
    Ok(out)
}

/// What a page draws, without its pictures.
#[derive(Default)]
struct Drawn {
    seen: Sheet,
    /// Letters that nobody sees. A program that has read a scan puts them behind its picture.
    unseen: Sheet,
}

impl Drawn {
    /// What a person sees; where that is no text, what was put behind the picture.
    fn text(self) -> String {
        match self.seen.is_empty() {
            true => self.unseen.text(),
            false => self.seen.text(),
        }
    }
}

impl<'a> Device<'a> for Drawn {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let sheet = match mode {
            DrawMode::Invisible => &mut self.unseen,
            _ => &mut self.seen,
        };
        for glyph in run.glyphs() {
            let at = props.transform * glyph.transform();
            if let Some(letter) = letter(glyph, at) {
                sheet.put(letter);
            }
        }
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

fn letter(glyph: &Glyph<'_>, at: Affine) -> Option<Letter> {
    let advance = match glyph {
        Glyph::Outline(outline) => outline.advance_width(),
        Glyph::Type3(drawn) => drawn.advance_width(),
    };
    let text = match glyph.as_unicode() {
        Some(BfString::Char(c)) => c.to_string(),
        Some(BfString::String(s)) => s,
        None => UNKNOWN.to_string(),
    };
    let advance = advance.map_or(EM / 2.0, f64::from);
    let begin = at * Point::ZERO;
    let end = at * Point::new(advance, 0.0);
    let top = at * Point::new(0.0, EM);
    let numbers = [begin.x, begin.y, end.x, end.y, top.x, top.y];
    numbers.iter().all(|n| n.is_finite()).then(|| Letter {
        text,
        begin: (begin.x, begin.y),
        end: (end.x, end.y),
        size: (top - begin).hypot(),
    })
}
